// The version of this program, as servers report it and `neleus version` prints it.

/** SemVer; the same as package.json's, which a test compares. */
export const PROGRAM_VERSION = "0.1.0";
