// `npm run build`: puts the native library that cargo made under the name that lib/native.js looks for, and the licence,
// and this package to where the examples look for it.
"use strict";

const { copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync } = require("node:fs");
const path = require("node:path");
const { fileFor } = require("../lib/native.js");

const LIBRARIES = { darwin: "libambassador_node.dylib", win32: "ambassador_node.dll" };

const here = path.join(__dirname, "..");
const root = path.join(here, "..");

const file = path.join(here, fileFor(process.platform, process.arch));
// Renamed into its place: a process that has the old one loaded keeps it whole.
copyFileSync(path.join(root, "target/release", LIBRARIES[process.platform] ?? "libambassador_node.so"), `${file}.new`);
renameSync(`${file}.new`, file);

copyFileSync(path.join(root, "LICENSE"), path.join(here, "LICENSE"));

// `import "ambassador-proxy"` in examples/node finds this very package, as it would an installed one.
const modules = path.join(root, "examples/node/node_modules");
mkdirSync(modules, { recursive: true });
rmSync(path.join(modules, "ambassador-proxy"), { recursive: true, force: true });
symlinkSync(here, path.join(modules, "ambassador-proxy"), "junction");
