import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { AntirioError } from '@antirio/kernel';
import type { Log } from './log.ts';
import { watchedFiles } from './watched-files.ts';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Who calls must have a certificate of these authorities. */
  readonly clientCaFile?: string | undefined;
}

export interface ClientTlsFiles {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new AntirioError('badConfig', `cannot read ${path}`, { path }, cause);
  }
}

function checkPair(cert: Buffer, key: Buffer, { certFile, keyFile }: TlsFiles): void {
  let matches: boolean;
  try {
    matches = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw new AntirioError(
      'badConfig',
      `${certFile} and ${keyFile} are no certificate and its key`,
      {},
      cause,
    );
  }
  if (!matches) throw new AntirioError('badConfig', `${keyFile} is not the key of ${certFile}`);
}

function readServer(files: TlsFiles): SecureContextOptions {
  const { certFile, keyFile, clientCaFile } = files;
  const [cert, key] = [read(certFile), read(keyFile)];
  checkPair(cert, key, files);
  const options = { cert, key, ...(clientCaFile === undefined ? {} : { ca: read(clientCaFile) }) };
  return { ...options, minVersion: 'TLSv1.2' };
}

/** Certificate and key of those who listen; new ones count for the connections after. @throws AntirioError badConfig */
export function serverTls(
  files: TlsFiles,
  clock: { monotonic(): number },
  log: Log,
): () => SecureContextOptions {
  const { certFile, keyFile, clientCaFile } = files;
  const paths = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])];
  return watchedFiles(
    paths,
    () => readServer(files),
    log,
    () => clock.monotonic(),
  );
}

/** What those who call trust, and who they are. @throws AntirioError badConfig */
export function clientTls(
  { caFile, certFile, keyFile }: ClientTlsFiles,
  clock: { monotonic(): number },
  log: Log,
): () => SecureContextOptions {
  const paths = [caFile, certFile, keyFile].filter((path) => path !== undefined);
  const readAll = (): SecureContextOptions => {
    const options = {
      ...(caFile === undefined ? {} : { ca: read(caFile) }),
      ...(certFile === undefined ? {} : { cert: read(certFile) }),
      ...(keyFile === undefined ? {} : { key: read(keyFile) }),
    };
    try {
      createSecureContext(options);
    } catch (cause) {
      throw new AntirioError('badConfig', `${paths.join(', ')}: not certificates and a key`, {}, cause);
    }
    return options;
  };
  return watchedFiles(paths, readAll, log, () => clock.monotonic());
}
