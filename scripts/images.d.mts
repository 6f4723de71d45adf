type Environment = Readonly<Record<string, string | undefined>>
export declare function layOut(): void
export declare function buildImages(options?: { base?: string; tags?: readonly string[]; engine?: Environment }): void
export declare function makeLocalImages(engine?: Environment): void
