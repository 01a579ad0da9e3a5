import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import loraPacketModule from 'lora-packet';
import { createUplink11Verifier, parseDataFrame } from './index.ts';

// The published types describe a module with a default export; at run time the module itself is that object.
const oracle = loraPacketModule as unknown as typeof loraPacketModule.default;

const bytes = (min: number, max = min) => fc.uint8Array({ minLength: min, maxLength: max });
const halfOf = (value: number): Buffer => Buffer.from([value & 0xff, value >>> 8]);

test('a LoRaWAN 1.1 uplink of lora-packet verifies with its own counter, data rate and channel alone', () => {
  const frames = fc.record({
    devAddr: bytes(4),
    fcnt: fc.integer({ min: 0, max: 0xffff_ffff }),
    ack: fc.boolean(),
    fPort: fc.integer({ min: 1, max: 255 }),
    payload: bytes(0, 50),
    dataRate: fc.nat(15),
    channel: fc.nat(15),
    confirmedFcnt: fc.nat(0xffff),
  });
  fc.assert(
    fc.property(frames, bytes(16), bytes(16), (drawn, fNwkSIntKey, sNwkSIntKey) => {
      const { fcnt, dataRate, channel, confirmedFcnt } = drawn;
      const packet = oracle.fromFields(
        {
          MType: 2,
          DevAddr: Buffer.from(drawn.devAddr),
          FCtrl: { ADR: false, ADRACKReq: false, ACK: drawn.ack, FPending: false },
          FCnt: fcnt & 0xffff,
          FPort: drawn.fPort,
          payload: Buffer.from(drawn.payload),
        },
        Buffer.alloc(16),
        Buffer.from(fNwkSIntKey),
        Buffer.from(sNwkSIntKey),
        halfOf(fcnt >>> 16),
        // lora-packet turns the first two bytes round
        Buffer.from([confirmedFcnt >>> 8, confirmedFcnt & 0xff, dataRate, channel]),
      );
      const frame = parseDataFrame(packet.getPHYPayload() as Buffer);
      const verifies = createUplink11Verifier({ fNwkSIntKey, sNwkSIntKey });
      const sent = { dataRate, channel, confirmedFcnt };
      expect(verifies(frame, fcnt, sent)).toBe(true);
      expect(verifies(frame, fcnt ^ 0x1_0000, sent)).toBe(false);
      expect(verifies(frame, fcnt, { ...sent, dataRate: dataRate ^ 1 })).toBe(false);
      expect(verifies(frame, fcnt, { ...sent, channel: channel ^ 1 })).toBe(false);
      expect(verifies(frame, fcnt, { ...sent, confirmedFcnt: confirmedFcnt ^ 1 })).toBe(!drawn.ack);
    }),
    { numRuns: 150 },
  );
});
