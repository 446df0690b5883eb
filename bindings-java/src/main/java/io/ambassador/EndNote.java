package io.ambassador;

/** A4: why a call ended, as the core says it, where stack traces show it: among the suppressed of the call's error. */
final class EndNote extends Exception {
    private static final long serialVersionUID = 1L;

    EndNote(String note) {
        super(note, null, false, false);
    }

    @Override
    public String toString() {
        return getMessage();
    }
}
