import { z } from 'zod';
import { fromHex, hmacSha256, toHex, utf8 } from '@antirio/kernel';

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
  /** `contract/<contractId>/<epoch>`: a cloud that refuses lower epochs has revoked them. */
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
