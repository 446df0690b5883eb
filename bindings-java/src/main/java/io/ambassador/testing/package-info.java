/** For tests of whatever uses the ambassador: no real waiting, jitter that repeats, and functions by script. */
package io.ambassador.testing;
