import { z } from 'zod';
import { hasLogin } from '@antirio/host';
import { devAddrValue, parseDevAddr } from '@antirio/lorawan';

const brokerUrl = z
  .url()
  .refine((url) => /^mqtts?:$/.test(new URL(url).protocol), 'an mqtt:// or mqtts:// URL')
  .refine((url) => !hasLogin(url), 'no user name or password in it: `username` and `passwordFile`');

const mqttSchema = z.strictObject({
  /** ChirpStack's broker; without it the edge's own, which ChirpStack's MQTT integration then writes to. */
  url: brokerUrl.optional(),
  username: z.string().min(1).max(128).optional(),
  /** Holds the password alone. */
  passwordFile: z.string().min(1).optional(),
  /** Who is trusted there, in PEM, with mqtts://. */
  caFile: z.string().min(1).optional(),
  /** Before `application/...`, with its slash, where ChirpStack's topics have such. */
  topicPrefix: z
    .string()
    .max(128)
    .regex(/^(?:[^+#/\0]+\/)*$/, 'topic levels, each with its slash')
    .default(''),
});

const devAddr = z
  .string()
  .regex(/^[0-9a-fA-F]{8}$/, '4 bytes in hex')
  .transform(parseDevAddr);
/** Each is in the ring's filter. */
const MOST_ADDRESSES = 4096;

/** ChirpStack (v4 or v3) as the network server of the devices that say `network: 'chirpStack'`. */
export const chirpStackSchema = z
  .strictObject({
    /** Its MQTT integration: events come by it, and downlinks go. */
    mqtt: mqttSchema.optional(),
    /** Its HTTP integration: events come to `POST /api/v3/lora/chirpstack?event=...`. */
    http: z.boolean().default(true),
    /** `ownWay`: it reaches gateways without us. `ourBridge`: only through our gateway-bridge, where leases and counters are checked. */
    gateways: z.enum(['ownWay', 'ourBridge']).default('ownWay'),
    /** With `ourBridge`: what it gives to devices that join (`dev_addr_prefixes` there), both ends included; without it none can join. */
    devAddrRange: z
      .strictObject({ first: devAddr, last: devAddr })
      .refine(({ first, last }) => {
        const beyond = devAddrValue(last) - devAddrValue(first);
        return beyond >= 0 && beyond < MOST_ADDRESSES;
      }, `from first to last, ${MOST_ADDRESSES} addresses at most`)
      .optional(),
    /** Where its uplinks wait on our disk for core-data; beyond this they are refused. */
    maxWaitingBytes: z
      .int()
      .min(1 << 20)
      .default(256 << 20),
    /** A downlink that ChirpStack has told nothing of for so long is given up here. */
    downlinkTimeoutS: z.int().min(60).default(86_400),
  })
  .optional();

export type ChirpStackOptions = NonNullable<z.output<typeof chirpStackSchema>>;
