// A configuration from the program's own code, in place of the file that AMBASSADOR_CONFIG names.
"use strict";

const { native } = require("./bridge.js");
const { configError, refusal } = require("./settings.js");

function configure(source) {
  const isObject = typeof source === "object" && source !== null && !Array.isArray(source);
  if (typeof source !== "string" && !isObject) {
    throw refusal("configuration", source, "the path of a file, its text, or an object");
  }
  const wrong = native.configure(isObject ? JSON.stringify(source) : source);
  if (wrong) throw configError(wrong);
}

module.exports = { configure };
