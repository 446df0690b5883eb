// ambassador-proxy for CommonJS; index.mjs exports the very same objects.
"use strict";

const { native } = require("./lib/bridge.js");
const errors = require("./lib/errors.js");
const { AmbassadorProxy } = require("./lib/proxy.js");
const { setLogLevel } = require("./lib/log.js");
const { shutdown } = require("./lib/shutdown.js");
const { metrics, serveAdmin, snapshot } = require("./lib/telemetry.js");

const { BY_CODE, ...classes } = errors;

module.exports = { AmbassadorProxy, metrics, serveAdmin, setLogLevel, shutdown, snapshot, version: native.version(), ...classes };
