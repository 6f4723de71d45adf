import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"

/**
 * Reverse proxies that are not Node programs, each with one worker on one core, one backend, kept connections, and no access log.
 * A `command` says how to start one with the file that `configure` yields.
 */
export const servers = [
  {
    name: "nginx",
    command: (file) => ["nginx", "-c", file],
    configure: ({ port, backend, folder }) => `
daemon off; master_process off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  map $http_upgrade $connection_header { default upgrade; "" ""; }
  upstream backend { server 127.0.0.1:${backend}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_header; }
  }
}`,
  },
  {
    name: "haproxy",
    command: (file) => ["haproxy", "-db", "-q", "-f", file],
    configure: ({ port, backend }) => `
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
  http-reuse always
frontend data
  bind 127.0.0.1:${port}
  default_backend backend
backend backend
  server one 127.0.0.1:${backend}
`,
  },
  {
    name: "caddy",
    command: (file) => ["caddy", "run", "--adapter", "caddyfile", "--config", file],
    environment: (folder) => ({ GOMAXPROCS: "1", HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }),
    configure: ({ port, backend }) => `
{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:${backend}
}
`,
  },
]

/** Whether this machine has it. */
export function isInstalled({ name }) {
  return spawnSync("sh", ["-c", `command -v ${name}`], { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } }).status === 0
}

/** Writes the configuration of one of them into the folder. */
export function configured(server, options) {
  const file = join(options.folder, `${server.name}.conf`)
  writeFileSync(file, `${server.configure(options).trim()}\n`)
  return { command: server.command(file), environment: { PATH: `${process.env.PATH}:/usr/sbin`, ...server.environment?.(options.folder) } }
}
