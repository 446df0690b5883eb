// The admin server of a process whose event loop is blocked: it answers from a thread that never asks for the loop.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import test from "node:test";
import { fileURLToPath } from "node:url";

const PROGRAM = `
  import { execSync } from "node:child_process";
  import { AmbassadorProxy } from "../index.mjs";
  new AmbassadorProxy("payments.example.com");
  // The loop stands still until stdin is closed; that it does is said from within.
  execSync("echo stuck; read line || true", { stdio: "inherit" });
`;

test("it answers while the event loop is blocked", async () => {
  const free = createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const address = `127.0.0.1:${free.address().port}`;
  await new Promise((closed) => free.close(closed));
  const child = spawn(process.execPath, ["--input-type=module", "--eval", PROGRAM], {
    cwd: fileURLToPath(new URL(".", import.meta.url)),
    env: { ...process.env, AMBASSADOR_ADMIN: address },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  try {
    assert.equal(String((await once(child.stdout, "data"))[0]), "stuck\n");
    for (const [path, part] of [["/", "<!doctype html>"], ["/healthz", "alive"], ["/metrics", "payments.example.com"]]) {
      const answer = await fetch(`http://${address}${path}`);
      assert.ok((await answer.text()).includes(part), path);
    }
    assert.equal(child.exitCode, null);
  } finally {
    child.stdin.end();
    assert.deepEqual(await ended, [0, null]);
  }
});
