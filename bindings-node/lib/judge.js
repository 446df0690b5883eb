// What the end of an attempt means (A1, A2): the answer of `classify`, then `notOn` and `retryOn`, in the core's numbers.
"use strict";

const { OK, RETRY, FAIL } = require("./bridge.js");

const OUTCOMES = { __proto__: null, ok: OK, retry: RETRY, fail: FAIL };

/**
 * A function from the end of an attempt, `{ ok: true, value }` or `{ ok: false, error }`, to its outcome; undefined when a value is a
 * success and any error may be tried again.
 */
function judgeOf({ retryOn, notOn, classify }) {
  if (retryOn === undefined && notOn === undefined && classify === undefined) return undefined;
  const mayBeTriedAgain = retryOn === undefined ? () => true : matcher(retryOn);
  const mayNot = notOn === undefined ? () => false : matcher(notOn);
  return (end) => {
    const answer = classify?.(end);
    if (answer !== undefined && answer !== null) {
      const outcome = typeof answer === "string" ? OUTCOMES[answer] : undefined;
      if (outcome === undefined)
        throw new TypeError('classify must return "ok", "retry", "fail", or undefined for the default');
      return outcome;
    }
    if (end.ok) return OK;
    return !mayNot(end.error) && mayBeTriedAgain(end.error) ? RETRY : FAIL;
  };
}

/** Whether an error is of one of these types, or one of these predicates says so. */
function matcher(tests) {
  const all = [tests].flat().map((test) => (isErrorType(test) ? (error) => error instanceof test : test));
  return (error) => all.some((test) => test(error));
}

function isErrorType(test) {
  return test === Error || test.prototype instanceof Error;
}

module.exports = { judgeOf };
