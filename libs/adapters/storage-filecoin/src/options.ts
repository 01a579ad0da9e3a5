import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';

/** What is set for Filecoin in a configuration. */
export const filecoinSettings = z.strictObject({
  /** Calibration is the public test network, where nothing costs money. */
  chain: z.enum(['mainnet', 'calibration']),
  /** An Ethereum RPC endpoint of that chain. */
  rpcUrl: z.url({ protocol: /^https?$/ }),
  /** A file with the payer's private key, which is read once and shown nowhere. */
  keyFile: z.string().min(1),
  /** Providers that must hold a copy. */
  copies: z.int().min(1).max(8).default(1),
  /** Their ids in the registry, those that are preferred first; without any, those that the storage service trusts. */
  providers: z.array(z.string().regex(/^\d{1,20}$/)).default([]),
  /** What our data sets are labelled with; another label is another data set. */
  source: z.string().min(1).max(64).default('antirio'),
});

export type FilecoinSettings = z.output<typeof filecoinSettings>;

/** @throws AntirioError badConfig saying what is wrong, without what was given */
export function parseFilecoinSettings(settings: unknown): FilecoinSettings {
  const parsed = filecoinSettings.safeParse(settings);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.join('.') || 'settings'}: ${issue.message}`,
  );
  throw new AntirioError('badConfig', `not settings for Filecoin: ${problems.join('; ')}`);
}
