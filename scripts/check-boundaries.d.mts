export declare const allowed: Readonly<Record<string, readonly string[]>>
export declare function importsOf(text: string): string[]
export declare function violations(room: string, file: string, imports: readonly string[]): string[]
export declare function findCycle(graph: Readonly<Record<string, readonly string[]>>): string[] | undefined
