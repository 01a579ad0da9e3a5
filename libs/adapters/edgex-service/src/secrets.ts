import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import { readFileIfThere, writeFileDurably, type HttpRim } from '@antirio/host';
import { baseRequest, baseResponse, baseResponseSchema } from '@antirio/edgex-contracts';

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
  get(name: string): Readonly<Record<string, string>> | undefined;
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
  const counts = { stored: 0, requested: 0 };
  return {
    counts,
    store(name, data) {
      const changed = new Map(secrets).set(name, { ...data });
      const content = JSON.stringify(Object.fromEntries(changed));
      if (content.length > MAX_BYTES)
        throw new AntirioError('storageFull', `more than ${MAX_BYTES} bytes of secrets`);
      writeFileDurably(path, content, 0o600);
      secrets = changed;
      counts.stored += 1;
    },
    get(name) {
      counts.requested += 1;
      return secrets.get(name);
    },
  };
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
