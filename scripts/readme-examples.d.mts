/** A block of code of a page, and the lines that it says it prints. */
export interface ReadmeExample {
  code: string
  prints: string[]
}
export function readmeExamples(text: string): ReadmeExample[]
export function onPorts(example: ReadmeExample, ports: readonly number[]): ReadmeExample
