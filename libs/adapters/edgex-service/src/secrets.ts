import { join } from 'node:path';
import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import { readFileIfThere, writeFileDurably, type HttpRim } from '@antirio/host';
import { baseRequest, baseResponse, baseResponseSchema } from '@antirio/edgex-contracts';
import { commonWritable, type InsecureSecrets } from './options.ts';
import { isTree, type Tree } from './tree.ts';

const text = z.string().min(1, 'is required').max(65_536);
const secretRequest = baseRequest.extend({
  secretName: z
    .string()
    .max(1024)
    .transform((given) => given.trim())
    .refine((trimmed) => trimmed !== '', 'should not be empty string'),
  secretData: z.array(z.object({ key: text, value: text })).min(1, 'should not be empty'),
});

const stored = z.record(z.string(), z.record(z.string(), z.string()));
type Stored = z.output<typeof stored>;

/** Secrets of one service: written to, read by the service itself, never shown. */
export interface Secrets {
  /** Durable once it returns; replaces what had this name. @throws AntirioError storageFull */
  store(name: string, data: Readonly<Record<string, string>>): void;
  /** What was stored; else what the configuration has. */
  get(name: string): Readonly<Record<string, string>> | undefined;
  /** The configuration's secrets (Writable.InsecureSecrets), in place of those before. */
  configure(insecure: InsecureSecrets): void;
  /** Calls back whenever a secret of this name has become another one; with undefined where it is there no more. */
  onChange(name: string, changed: (data: Readonly<Record<string, string>> | undefined) => void): void;
  /** How often each was done since the start. */
  readonly counts: { readonly stored: number; readonly requested: number };
}

const MAX_BYTES = 1 << 20;

function readSecrets(path: string): Map<string, Stored[string]> {
  const bytes = readFileIfThere(path);
  if (bytes === undefined) return new Map();
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // the parser's message would quote the secrets
    throw new AntirioError('corrupt', `${path} holds no secrets`, { path });
  }
  const checked = stored.safeParse(parsed);
  if (!checked.success) throw new AntirioError('corrupt', `${path} holds no secrets`, { path });
  return new Map(Object.entries(checked.data));
}

/** Keeps secrets in one file that only its owner may read (mode 0600). @throws AntirioError corrupt */
export function openSecrets(path: string): Secrets {
  let secrets = readSecrets(path);
  let configured: ReadonlyMap<string, Stored[string]> = new Map();
  const counts = { stored: 0, requested: 0 };
  const listeners = new Map<string, ((data: Stored[string] | undefined) => void)[]>();
  const current = (name: string): Stored[string] | undefined => secrets.get(name) ?? configured.get(name);
  /** Tells of those that are others than before. */
  const change = (names: Iterable<string>, make: () => void): void => {
    const before = new Map([...names].map((name) => [name, JSON.stringify(current(name))]));
    make();
    for (const [name, was] of before) {
      const now = current(name);
      if (JSON.stringify(now) === was) continue;
      for (const changed of listeners.get(name) ?? []) changed(now);
    }
  };
  return {
    counts,
    store(name, data) {
      const changed = new Map(secrets).set(name, { ...data });
      const content = JSON.stringify(Object.fromEntries(changed));
      if (content.length > MAX_BYTES)
        throw new AntirioError('storageFull', `more than ${MAX_BYTES} bytes of secrets`);
      writeFileDurably(path, content, 0o600);
      change([name], () => (secrets = changed));
      counts.stored += 1;
    },
    get(name) {
      counts.requested += 1;
      return current(name);
    },
    configure(insecure) {
      const named = Object.values(insecure).filter(({ SecretName }) => SecretName !== '');
      const next = new Map(named.map(({ SecretName, SecretData }) => [SecretName, SecretData]));
      change(new Set([...configured.keys(), ...next.keys()]), () => (configured = next));
    },
    onChange(name, changed) {
      listeners.set(name, [...(listeners.get(name) ?? []), changed]);
    },
  };
}

/** The secrets of a service as its options say where they are, before it runs. @throws AntirioError corrupt */
export function secretsOf(
  serviceKey: string,
  { dataDir, writable }: { readonly dataDir: string; readonly writable: Tree },
): Secrets {
  const secrets = openSecrets(secretsPath(dataDir, serviceKey));
  const { data } = commonWritable.pick({ InsecureSecrets: true }).safeParse(writable);
  secrets.configure(data?.InsecureSecrets ?? {});
  return secrets;
}

export function secretsPath(dataDir: string, serviceKey: string): string {
  return join(dataDir, serviceKey, 'secrets.json');
}

const REDACTED = '<redacted>';

/** A Writable section that may be shown: who has which secrets, but not what they are. */
export function withoutSecrets(writable: Tree): Tree {
  const { InsecureSecrets: secrets } = writable;
  if (!isTree(secrets)) return writable;
  const shown = Object.entries(secrets).map(([id, secret]) => {
    const { SecretName, SecretData } = isTree(secret) ? secret : {};
    const keys = isTree(SecretData) ? Object.keys(SecretData) : [];
    return [id, { SecretName, SecretData: Object.fromEntries(keys.map((key) => [key, REDACTED])) }];
  });
  return { ...writable, InsecureSecrets: Object.fromEntries(shown) as Tree };
}

/** EdgeX's `POST /secret`. */
export function addSecretRoute(rim: HttpRim, secrets: Secrets): void {
  rim.route(
    'post',
    '/api/v3/secret',
    {
      summary: 'stores a secret of this service',
      body: secretRequest,
      answer: baseResponseSchema,
      status: 201,
    },
    ({ body }) => {
      secrets.store(
        body.secretName,
        Object.fromEntries(body.secretData.map(({ key, value }) => [key, value])),
      );
      return baseResponse(201, { requestId: body.requestId });
    },
  );
}
