import { z } from 'zod';
import { equalBytes, fromHex, hmacSha256, toHex, utf8, type EdgeId } from '@antirio/kernel';

/** Where the provider forwards the customer's readings to while it serves: the customer's own cloud. */
export const forwardingTerms = z.strictObject({
  kind: z.enum(['http', 'mqtt']),
  /** `http(s)://` or `mqtt(s)://`, without a login. */
  url: z
    .url({ protocol: /^(?:https?|mqtts?)$/ })
    .max(1024)
    .refine((url) => !/^[a-z]+:\/\/[^/?#]*@/i.test(url), 'a login is not part of the terms'),
  /** MQTT: what stands before the device's name in the topic. */
  topic: z
    .string()
    .min(1)
    .max(256)
    .regex(/^[^+#\0]+$/, 'no wildcards')
    .optional(),
});
export type ForwardingTerms = z.output<typeof forwardingTerms>;

/**
 * The key of one contract, of the customer's own (64 hex digits): its cloud makes it again from the contract's id, and the provider
 * learns nothing of another contract's.
 */
export function contractForwardingKey(key: string, contractId: string): string {
  return toHex(hmacSha256(fromHex(key, 32), utf8(`antirio/forwarding/1/${contractId}`)));
}

/** Who a provider is at the customer's cloud in one epoch. */
export interface ContractCredential {
  /** `contract/<contractId>/<epoch>`. A provider can name any epoch, also coming ones: see `mayForward`. */
  readonly username: string;
  /** HMAC-SHA-256 of the user name under the contract's key, hex. */
  readonly password: string;
}

export function contractCredential(
  contractKey: string,
  contractId: string,
  epoch: number,
): ContractCredential {
  const username = `contract/${contractId}/${epoch}`;
  return { username, password: toHex(hmacSha256(fromHex(contractKey, 32), utf8(username))) };
}

/** What the ledger says of a protected set now (`set/<setId>`). */
export interface NamedNow {
  readonly epoch: number;
  readonly holder: EdgeId;
}

/**
 * Whether a cloud takes this login: it is the contract's, of the one epoch that the ledger names now, and that epoch is held by the
 * contract's provider. To refuse lower epochs is not enough: who holds the contract's key makes the login of every later epoch too.
 * @param named undefined where the ledger knows no such set
 */
export function mayForward(
  contractKey: string,
  login: ContractCredential,
  { contractId, provider }: { readonly contractId: string; readonly provider: EdgeId },
  named: NamedNow | undefined,
): boolean {
  if (named === undefined || named.holder !== provider) return false;
  const { username, password } = contractCredential(contractKey, contractId, named.epoch);
  return login.username === username && equalBytes(utf8(login.password), utf8(password));
}
