// ambassador-proxy/undici for CommonJS; undici.mjs exports the very same objects.
"use strict";

module.exports = require("./lib/undici.js");
