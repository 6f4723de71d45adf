export declare function anchorsOf(text: string): Set<string>
export declare function linksOf(text: string): { target: string; line: number }[]
export declare function checkLinks(pages: ReadonlyMap<string, string>, exists: (path: string) => boolean): string[]
