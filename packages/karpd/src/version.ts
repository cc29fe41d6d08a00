/** The version of karp, as in package.json; `npm run verify` holds the two together. */
export const version = "0.1.0";
