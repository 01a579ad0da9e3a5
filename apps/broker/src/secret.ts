import { join } from 'node:path';
import { readFileIfThere, writeFileDurably } from '@antirio/host';
import { AntirioError, fromHex, fromUtf8, toHex, type Random } from '@antirio/kernel';

/** Where the broker's secret lies: 64 hexadecimal digits, the key of the passwords of foreign services. */
export function brokerSecretFile(dataDir: string): string {
  return join(dataDir, 'broker', 'secret');
}

/** The broker's secret, made at the first start. @throws AntirioError badConfig when the file holds something else. */
export function ensureBrokerSecret(dataDir: string, random: Random): Uint8Array {
  const path = brokerSecretFile(dataDir);
  const known = readFileIfThere(path);
  if (known === undefined) {
    const secret = random.bytes(32);
    writeFileDurably(path, `${toHex(secret)}\n`, 0o600);
    return secret;
  }
  try {
    return fromHex(fromUtf8(known).trim(), 32);
  } catch (cause) {
    throw new AntirioError('badConfig', `${path} must hold 64 hexadecimal digits`, { path }, cause);
  }
}
