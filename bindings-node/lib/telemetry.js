// What is seen of the whole process: the snapshot, the metrics, and the admin server, which has both over HTTP, and a page.
"use strict";

const { native } = require("./bridge.js");
const { configError, refusal } = require("./settings.js");

native.beginTelemetry();

/** What a native gave, or the error that it says. */
function given(answer) {
  if (Array.isArray(answer)) throw configError(answer);
  return answer;
}

function snapshot() {
  return JSON.parse(native.snapshot());
}

function metrics(format = "prometheus") {
  if (typeof format !== "string") throw refusal("format", format, "prometheus or openmetrics");
  return given(native.metrics(format));
}

class Admin {
  #server;
  #token;

  constructor(server) {
    this.#server = server;
    const [address, token] = native.adminAddress(server);
    this.#token = token;
    this.address = address;
    this.url = `http://${address}/`;
    Object.freeze(this);
  }

  get token() {
    return this.#token;
  }

  get isServing() {
    return native.adminServes(this.#server);
  }

  stop() {
    native.adminStop(this.#server);
  }
}

function serveAdmin(address, options = {}) {
  if (typeof address !== "string") throw refusal("admin", address, "an address and a port, such as 127.0.0.1:9901");
  if (typeof options !== "object" || options === null) throw refusal("admin", options, "an object of token, hosts, remote");
  const { token, hosts = [], remote = false, ...unknown } = options;
  for (const field of Object.keys(unknown)) throw refusal(`admin.${field}`, unknown[field], "token, hosts, remote");
  // S3: not what it was.
  if (token !== undefined && typeof token !== "string") throw configError(native.wrong("admin.token", "***", "text"));
  if (!Array.isArray(hosts) || hosts.some((host) => typeof host !== "string")) throw refusal("admin.hosts", hosts, "an array of names");
  if (typeof remote !== "boolean") throw refusal("admin.remote", remote, "true or false");
  return new Admin(given(native.serveAdmin(address, token, hosts, remote)));
}

module.exports = { metrics, serveAdmin, snapshot };
