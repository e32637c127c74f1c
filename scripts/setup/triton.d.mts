// Types of triton.mjs, which is plain JavaScript because set-up runs before tsx is installed.

/** Resolves with the folder of Triton and its Python packages; throws a SetupFailure where it cannot be had. */
export function ensureTriton(cache: string): Promise<string>;

/** The same, but says why and resolves with null. */
export function tryTriton(cache: string): Promise<string | null>;
