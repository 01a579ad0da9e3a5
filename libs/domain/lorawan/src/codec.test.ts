import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import loraPacketModule from 'lora-packet';
import { fromBase64, fromHex, isAntirioError, toHex } from '@antirio/kernel';
import {
  createSessionCipher,
  devAddrOf,
  messageType,
  parseDataFrame,
  type DataFrameFields,
} from './index.ts';

// The published types describe a module with a default export; at run time the module itself is that object.
const oracle = loraPacketModule as unknown as typeof loraPacketModule.default;

const bytes = (min: number, max = min) => fc.uint8Array({ minLength: min, maxLength: max });
const key = bytes(16);
const fcnt32 = fc.oneof(fc.nat(0xffff), fc.integer({ min: 0, max: 0xffff_ffff }));

const frames = fc
  .record({
    direction: fc.constantFrom('up' as const, 'down' as const),
    confirmed: fc.boolean(),
    devAddr: fc.integer({ min: 0, max: 0xffff_ffff }).map(devAddrOf),
    fcnt: fcnt32,
    adr: fc.boolean(),
    adrAckReq: fc.boolean(),
    ack: fc.boolean(),
    fPending: fc.boolean(),
    fOpts: bytes(0, 15),
    // lora-packet builds no frame without a port; such frames come up among the arbitrary ones below
    fPort: fc.nat(255),
    payload: bytes(0, 200),
  })
  .map((drawn) => ({
    ...drawn,
    fOpts: drawn.fPort === 0 ? new Uint8Array() : drawn.fOpts,
  }));

const dataHeaders = fc.constantFrom(0x40, 0x60, 0x80, 0xa0);

const upperHalf = (fcnt: number): Buffer => {
  const half = Buffer.alloc(2);
  half.writeUInt16LE(fcnt >>> 16);
  return half;
};

function byOracle(
  fields: DataFrameFields,
  payload: Uint8Array,
  nwkSKey: Uint8Array,
  appSKey: Uint8Array,
): Buffer {
  const counter = Buffer.alloc(2);
  counter.writeUInt16BE(fields.fcnt & 0xffff);
  const up = fields.direction === 'up';
  const packet = oracle.fromFields(
    {
      MType: (fields.confirmed ? 4 : 2) + (up ? 0 : 1),
      DevAddr: Buffer.from(fields.devAddr, 'hex'),
      FCtrl: {
        ADR: fields.adr === true,
        ADRACKReq: up && fields.adrAckReq === true,
        ACK: fields.ack === true,
        FPending: !up && fields.fPending === true,
      },
      FCnt: counter,
      FOpts: Buffer.from(fields.fOpts ?? []),
      FPort: fields.fPort ?? 0,
      payload: Buffer.from(payload),
    },
    Buffer.from(appSKey),
    Buffer.from(nwkSKey),
    undefined,
    upperHalf(fields.fcnt),
  );
  return packet.getPHYPayload() as Buffer;
}

describe('data frames against lora-packet', () => {
  test('a frame has the same bytes, whichever of the two builds it', () => {
    fc.assert(
      fc.property(frames, key, key, ({ payload, ...fields }, nwkSKey, appSKey) => {
        const built = createSessionCipher({ nwkSKey, appSKey }).build(fields, payload);
        expect(toHex(built)).toBe(byOracle(fields, payload, nwkSKey, appSKey).toString('hex'));
      }),
      { numRuns: 300 },
    );
  });

  test('parsing gives back every field, the MIC verifies and the payload decrypts', () => {
    fc.assert(
      fc.property(frames, key, key, ({ payload, ...fields }, nwkSKey, appSKey) => {
        const cipher = createSessionCipher({ nwkSKey, appSKey });
        const frame = parseDataFrame(byOracle(fields, payload, nwkSKey, appSKey));
        const up = fields.direction === 'up';
        expect(frame).toMatchObject({
          direction: fields.direction,
          confirmed: fields.confirmed,
          devAddr: fields.devAddr,
          adr: fields.adr,
          adrAckReq: up && fields.adrAckReq,
          ack: fields.ack,
          fPending: !up && fields.fPending,
          fcnt16: fields.fcnt & 0xffff,
        });
        expect(toHex(frame.fOpts)).toBe(toHex(fields.fOpts));
        expect(cipher.verifies(frame, fields.fcnt)).toBe(true);
        expect(toHex(cipher.decrypt(frame, fields.fcnt))).toBe(toHex(payload));
      }),
      { numRuns: 300 },
    );
  });

  test('a flipped bit, another counter or another key never verifies', () => {
    fc.assert(
      fc.property(
        frames,
        key,
        key,
        fc.nat(),
        fc.nat(),
        ({ payload, ...fields }, nwkSKey, other, at, counter) => {
          fc.pre(toHex(nwkSKey) !== toHex(other));
          const cipher = createSessionCipher({ nwkSKey, appSKey: other });
          const whole = cipher.build(fields, payload);
          const bad = Uint8Array.from(whole);
          const bit = at % (whole.length * 8);
          bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          let parsed;
          try {
            parsed = parseDataFrame(bad);
          } catch (error) {
            expect(isAntirioError(error, 'invalidInput')).toBe(true);
          }
          if (parsed !== undefined) expect(cipher.verifies(parsed, fields.fcnt)).toBe(false);
          const frame = parseDataFrame(whole);
          if (counter >>> 0 !== fields.fcnt) expect(cipher.verifies(frame, counter >>> 0)).toBe(false);
          expect(createSessionCipher({ nwkSKey: other }).verifies(frame, fields.fcnt)).toBe(false);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('verdicts on arbitrary frames are those of lora-packet', () => {
    fc.assert(
      fc.property(
        bytes(12, 60),
        key,
        fc.nat(3),
        dataHeaders,
        fc.nat(15),
        (noise, nwkSKey, half, mhdr, control) => {
          noise.set([mhdr], 0);
          noise.set([control << 4], 5);
          const fcnt = half * 0x1_0000 + new DataView(noise.buffer, noise.byteOffset).getUint16(6, true);
          const expected = oracle.verifyMIC(
            oracle.fromWire(Buffer.from(noise)),
            Buffer.from(nwkSKey),
            undefined,
            upperHalf(fcnt),
          );
          expect(createSessionCipher({ nwkSKey }).verifies(parseDataFrame(noise), fcnt)).toBe(expected);
        },
      ),
    );
  });
});

test('more sessions than keep their key schedules still read their own frames, and no others', () => {
  const head = { direction: 'up', confirmed: false, devAddr: devAddrOf(7), fcnt: 1, fPort: 2 } as const;
  const keyOf = (n: number, kind: number): Uint8Array => {
    const bytes = new Uint8Array(16).fill(kind);
    new DataView(bytes.buffer).setUint32(0, n);
    return bytes;
  };
  const sessions = Array.from({ length: 2500 }, (_, n) =>
    createSessionCipher({ nwkSKey: keyOf(n, 1), appSKey: keyOf(n, 2) }),
  );
  const frames = sessions.map((session, n) => parseDataFrame(session.build(head, keyOf(n, 3))));
  for (const [n, session] of sessions.entries()) {
    const [own, other] = [frames[n], frames[(n + 1) % frames.length]];
    if (own === undefined || other === undefined) throw new Error('no frame');
    expect([session.verifies(own, 1), session.verifies(other, 1)]).toEqual([true, false]);
    expect(session.decrypt(own, 1)).toEqual(keyOf(n, 3));
  }
});

describe('refusals', () => {
  test('no bytes whatsoever make the parsers throw anything but an AntirioError', () => {
    fc.assert(
      fc.property(bytes(0, 300), (noise) => {
        for (const parse of [parseDataFrame, messageType])
          try {
            parse(noise);
          } catch (error) {
            expect(isAntirioError(error)).toBe(true);
          }
      }),
      { numRuns: 20_000 },
    );
  });

  test('a frame shorter than 12 + FOptsLen is refused', () => {
    const frame = fromHex('40010203048f00000000000000');
    expect(() => parseDataFrame(frame)).toThrow(/15 of FOpts/);
    expect(() => parseDataFrame(fromHex('4001020304000000000000'))).toThrow(/11 bytes/);
    expect(parseDataFrame(fromHex('400102030400000000000000')).fPort).toBeUndefined();
  });

  test('without AppSKey a session verifies but does not read, except port 0', () => {
    const nwkSKey = new Uint8Array(16).fill(1);
    const fields = { direction: 'up', confirmed: false, devAddr: devAddrOf(7), fcnt: 9 } as const;
    const both = createSessionCipher({ nwkSKey, appSKey: new Uint8Array(16).fill(2) });
    const verifier = createSessionCipher({ nwkSKey });
    const application = parseDataFrame(both.build({ ...fields, fPort: 2 }, Uint8Array.of(1, 2, 3)));
    expect(verifier.verifies(application, 9)).toBe(true);
    expect(() => verifier.decrypt(application, 9)).toThrow(/AppSKey/);
    const mac = parseDataFrame(both.build({ ...fields, fPort: 0 }, Uint8Array.of(2)));
    expect(verifier.decrypt(mac, 9)).toEqual(Uint8Array.of(2));
  });

  test('fields that no frame carries are refused', () => {
    const cipher = createSessionCipher({ nwkSKey: new Uint8Array(16), appSKey: new Uint8Array(16) });
    const fields = { direction: 'down', confirmed: false, devAddr: devAddrOf(1), fcnt: 1 } as const;
    expect(() => cipher.build({ ...fields, fcnt: -1 })).toThrow(/32 bits/);
    expect(() => cipher.build(fields, Uint8Array.of(1))).toThrow(/FPort/);
    expect(() => cipher.build({ ...fields, fPort: 0, fOpts: Uint8Array.of(2) })).toThrow(/FOpts/);
    expect(() => cipher.build({ ...fields, fPort: 1 }, new Uint8Array(250))).toThrow(/data frame of/);
    expect(() => createSessionCipher({ nwkSKey: new Uint8Array(15) })).toThrow(/16 bytes/);
  });
});

test('a frame recorded from a real server is read as that server read it', () => {
  const up = parseDataFrame(fromBase64('QCgkBwGAAgACVit7/uwLtQ=='));
  expect(up).toMatchObject({
    direction: 'up',
    devAddr: '01072428',
    adr: true,
    fcnt16: 2,
    fPort: 2,
    confirmed: false,
  });
  const down = parseDataFrame(fromBase64('YCgkBwGgAAAAld3qtI8t2F+kGuie9oaDRk455SfZuQ=='));
  expect(down).toMatchObject({
    direction: 'down',
    devAddr: '01072428',
    ack: true,
    fcnt16: 0,
    fPort: 0,
    confirmed: false,
  });
});
