import { AntirioError, isAntirioError } from '@antirio/kernel';

/** What this adapter needs beside the product, and only this adapter: optional packages with the versions that were tested. */
export const FILECOIN_PACKAGES = [
  '@filoz/synapse-sdk@0.41.0',
  '@filoz/synapse-core@0.5.2',
  'viem@2.57.0',
  'fr32-sha2-256-trunc254-padded-binary-tree-multihash@3.3.0',
] as const;

export const absent = (cause: unknown): AntirioError =>
  new AntirioError(
    'badConfig',
    `storage on Filecoin needs packages that are not installed: npm install ${FILECOIN_PACKAGES.join(' ')}`,
    { packages: FILECOIN_PACKAGES },
    cause,
  );

const MISSING = new Set(['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND']);

/** Whether something failed because a package is not installed. */
export function isMissing(failure: unknown): boolean {
  const { code } = (failure ?? {}) as { code?: unknown };
  return typeof code === 'string' && MISSING.has(code);
}

/** Loads an optional part; one that is not installed is a fault of the configuration, and is said so. @throws AntirioError badConfig */
export async function optional<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    if (isAntirioError(cause)) throw cause;
    throw isMissing(cause) ? absent(cause) : cause;
  }
}
