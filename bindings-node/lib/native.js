// The native half: found beside this package, loaded once for each environment. Also the numbers that JavaScript and the
// natives exchange; src/exchange.rs and src/calls.rs have the same.
"use strict";

const path = require("node:path");

/** The native file of a platform, in the folder of the package. */
function fileFor(platform, arch) {
  return `ambassador.${platform}-${arch}.node`;
}

function load(file = path.join(__dirname, "..", fileFor(process.platform, process.arch))) {
  try {
    return require(file);
  } catch (cause) {
    throw new Error(
      `ambassador-proxy: the native part for ${process.platform}-${process.arch} cannot be loaded. Looked for ${file}: ` +
        `${cause.code === "MODULE_NOT_FOUND" ? "there is no such file" : cause.message}. Install the package on the ` +
        "platform that it shall run on, or build the file from the source, with Rust: `make build` in the repository.",
      { cause },
    );
  }
}

module.exports = { fileFor, load };
