// @ts-check
/** What the server of scripts/bench/tls.mjs answers, for it and for those who ask. */

export const smallBytes = 1024;
export const bulkBytes = 256 * 1024;
export const bulkType = "application/octet-stream";
