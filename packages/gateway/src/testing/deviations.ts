import { chunked, crlf, type EdgeCase, get, host, pass, post, raw, refuse } from "./edge-case.ts"

/** Where the edge is not as strict, or stricter, than the grammar, and why. What it lets through is put right before it goes on. */
export const deviations: readonly (EdgeCase & { reason: string })[] = [
  ...["GET  / HTTP/1.1", "GET /  HTTP/1.1"].map((line) => ({
    ...pass(`two blanks in ${JSON.stringify(line)}`, raw([line, host, "Connection: close"]), { url: "/" }),
    reason: "llhttp splits the request line at runs of blanks, which RFC 9112, 3 allows; what goes on has one",
  })),
  ...["GET / RTSP/1.0", "DESCRIBE / RTSP/1.0", "SOURCE / ICE/1.0"].map((line) => ({
    ...pass(`another protocol in ${JSON.stringify(line)}`, raw([line, host]), { url: "/" }),
    reason: "llhttp reads these protocols as HTTP/1.0 and node:http does not say so; what goes on is HTTP/1.1",
  })),
  ...["5 ;a=b", "5; a=b", "5;a =b", "5;a= b"].map((size) => ({
    ...refuse(`a blank in the extension ${JSON.stringify(size)}`, post([chunked], `${size}${crlf}hello${crlf}0${crlf}${crlf}`)),
    reason: "llhttp knows no blanks in chunk extensions; senders must not generate them (RFC 9110, 5.6.3)",
  })),
  ...["FOO", "VERSION-CONTROL", "PURGE2"].map((method) => ({
    ...refuse(`the method ${method}`, raw([`${method} / HTTP/1.1`, host, "Connection: close"])),
    reason: "llhttp knows a closed list of methods",
  })),
  { ...refuse("a Host with a zone", raw(["GET / HTTP/1.1", "Host: [fe80::1%25eth0]"])), reason: "a zone means nothing beyond its machine" },
  {
    ...refuse("absolute-form that differs from Host", get("http://other.test/")),
    reason: "RFC 9112, 3.2.2 would overwrite Host; two readers may differ",
  },
  {
    ...refuse("a GET with a body", raw(["GET / HTTP/1.1", host, "Content-Length: 1"], "a")),
    reason: "its meaning is undefined; allowGetBody admits it",
  },
  { ...refuse("one length twice", post(["Content-Length: 1", "Content-Length: 1"], "a")), reason: "RFC 9112, 6.3 leaves it open; refusing is safer" },
]
