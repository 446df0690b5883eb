// Requests for 100 bytes from a server on loopback, by the clients that people use in Node and by ours: requests a second, and what one
// costs this process in CPU, at 1 and at 64 concurrent. The server is nginx, in a process of its own. The rounds of all rows alternate, and
// the best one of each counts. `node bench_http.mjs fetch ambassador` measures the rows whose names have these words in them.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { AmbassadorProxy } from "ambassador-proxy";
import axios from "axios";
import got from "got";
import { Agent as KeepAlive } from "node:http";
import { Pool, request } from "undici";

const ROUNDS = 5;
const ROUND_MS = 800;
const MANY = 64;
const BODY = "x".repeat(100);

/** nginx on a port of its own; what ends it. */
async function serve() {
  const folder = mkdtempSync(path.join(tmpdir(), "ambassador-bench-"));
  const probe = createServer();
  await new Promise((listening) => probe.listen(0, "127.0.0.1", listening));
  const { port } = probe.address();
  await new Promise((closed) => probe.close(closed));
  const settings = path.join(folder, "nginx.conf");
  writeFileSync(
    settings,
    `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log crit;
    events { worker_connections 1024; }
    http {
      access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
      client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
      uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
      server { listen 127.0.0.1:${port} backlog=1024; location / { default_type text/plain; return 200 "${BODY}"; } }
    }`,
  );
  const running = spawn("nginx", ["-c", settings, "-p", folder], { stdio: "ignore" });
  await answering(port, running);
  const stop = () => {
    running.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  return { url: `http://127.0.0.1:${port}`, stop };
}

async function answering(port, running) {
  for (;;) {
    if (running.exitCode !== null) throw new Error("nginx does not run");
    const isUp = await new Promise((told) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => told(true)).once("error", () => told(false));
      socket.once("close", () => socket.destroy());
      setTimeout(() => socket.destroy(), 100).unref();
    });
    if (isUp) return;
  }
}

/** The best of what was measured: requests a second, and CPU microseconds for each. */
async function measured(get, concurrent) {
  let made = 0;
  const until = performance.now() + ROUND_MS;
  const loop = async () => {
    while (performance.now() < until) {
      await get();
      made += 1;
    }
  };
  const [begun, used] = [performance.now(), process.cpuUsage()];
  await Promise.all(Array.from({ length: concurrent }, loop));
  const { user, system } = process.cpuUsage(used);
  return { rate: (made * 1000) / (performance.now() - begun), cpu: (user + system) / made };
}

function check(text) {
  if (text.length !== BODY.length) throw new Error(`${text.length} bytes came`);
}

const { url, stop } = await serve();
const ours = new AmbassadorProxy(url);
const pool = new Pool(url, { connections: MANY });
const agent = new KeepAlive({ keepAlive: true, maxSockets: MANY });
const byGot = got.extend({ agent: { http: agent }, retry: { limit: 0 } });
const byAxios = axios.create({ httpAgent: agent, responseType: "text" });

let rows = [
  ["`fetch`", async () => check(await (await fetch(`${url}/`)).text())],
  ["undici, `request`", async () => check(await (await request(`${url}/`)).body.text())],
  ["undici, a `Pool` of 64", async () => check(await (await pool.request({ path: "/", method: "GET" })).body.text())],
  ["got", async () => check(await byGot(`${url}/`).text())],
  ["axios", async () => check((await byAxios.get(`${url}/`)).data)],
  ["**Ambassador**, `fetch`", async () => check(await (await ours.fetch("/")).text())],
  ["**Ambassador**, `request`", async () => check((await ours.request({ path: "/" })).text())],
];
const words = process.argv.slice(2);
if (words.length > 0) rows = rows.filter(([name]) => words.some((word) => name.toLowerCase().includes(word)));

const best = rows.map(() => new Map());
for (let round = 0; round < ROUNDS; round++) {
  for (const [at, [, get]] of rows.entries()) {
    for (const concurrent of [1, MANY]) {
      const found = await measured(get, concurrent);
      const before = best[at].get(concurrent);
      if (before === undefined || found.rate > before.rate) best[at].set(concurrent, found);
    }
  }
}
await pool.close();
agent.destroy();
stop();

const fetched = Math.max(0, rows.findIndex(([name]) => name === "`fetch`"));
console.log(`| Node: a request for ${BODY.length} bytes | 1 at a time: requests/s | CPU µs | ${MANY} at a time: requests/s | CPU µs | ${rows[fetched][0]} = 1 |`);
console.log("| --- | ---: | ---: | ---: | ---: | ---: |");
for (const [at, [name]] of rows.entries()) {
  const [one, many] = [best[at].get(1), best[at].get(MANY)];
  const times = many.rate / best[fetched].get(MANY).rate;
  console.log(`| ${name} | ${one.rate.toFixed(0)} | ${one.cpu.toFixed(1)} | ${many.rate.toFixed(0)} | ${many.cpu.toFixed(1)} | ${times.toFixed(2)} |`);
}
