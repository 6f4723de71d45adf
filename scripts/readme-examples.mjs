// The examples of READMEs as programs: each ```ts block of a page, with what the comments behind its console.log promise.
// A folder to run them in looks like a project that has installed the packages.

/** Examples of a Markdown text. `prints` is empty where the text promises nothing. */
export function readmeExamples(text) {
  return [...text.matchAll(/```ts\n([\s\S]*?)\n```/g)].map(([, code]) => ({
    code,
    prints: [...code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, line]) => line),
  }))
}

/** The same example on other ports than those a reader would use; each of `ports` is used once. */
export function onPorts({ code, prints }, ports) {
  const found = [...new Set([...code.matchAll(/(?:\b(?:port: |listen\(|127\.0\.0\.1(?::|%3A))|Port: )(8\d{3}|3000)\b/g)].map(([, port]) => port))]
  const replaced = (text) => found.reduce((changed, port, index) => changed.replaceAll(port, String(ports[index])), text)
  return { code: replaced(code), prints: prints.map(replaced) }
}
