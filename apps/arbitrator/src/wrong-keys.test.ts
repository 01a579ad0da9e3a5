import { describe, expect, test } from '@jest/globals';
import { systemRandom } from '@antirio/host';
import { fromHex, openSealed, parseEdgeId, sealTo, sha256Hex, signDocument, toBase64 } from '@antirio/kernel';
import { createSessionCipher, parseDevAddr } from '@antirio/lorawan';
import { KEY_HEADER_KIND } from '@antirio/service-contract';
import { central, contractId, customer, provider, sealKeyOf, terms, witness } from './escrow.fixture.ts';
import { genuineOf, keepGenuine, type KeptFrames } from './genuine-sample.ts';
import { divideKeys, openKeys, type DividedKeys, type KeyPackage, type Secrets } from './sealed-keys.ts';
import { claimOf, judgeWrongKeys, readClaim, unverified, type WrongKeysClaim } from './wrong-keys.ts';

const RIGHT = '11'.repeat(16);
const WRONG = '99'.repeat(16);
const secretsWith = (nwkSKey: string): Secrets => ({
  keyVersion: 1,
  sessions: [{ devEui: '00000000000000aa', devAddr: '0000000a', nwkSKey }],
});

/** An unconfirmed uplink without payload, as a mote with this key sends it. */
function uplink(fcnt: number, key = RIGHT): Uint8Array {
  const devAddr = parseDevAddr('0000000a');
  const cipher = createSessionCipher({ nwkSKey: fromHex(key, 16) });
  return cipher.build({ direction: 'up', confirmed: false, devAddr, fcnt });
}

const divide = (key: string): Promise<DividedKeys> =>
  divideKeys(customer, terms, {}, secretsWith(key), sealKeyOf, systemRandom);
const ring = [uplink(7), uplink(8), uplink(9, '55'.repeat(16))].map((bytes, i) => ({
  seq: i + 1,
  phyPayload: toBase64(bytes),
}));
const bridge = {
  call: async () => ({ status: 200, body: Buffer.from('{}'), json: () => ({ frames: ring }) }),
} as never;

async function kept(): Promise<KeptFrames> {
  const word = genuineOf(customer, contractId, secretsWith(RIGHT), ring);
  if (word === undefined) throw new TypeError('nothing genuine');
  expect(word.seqs).toEqual([1, 2]);
  return keepGenuine(bridge, terms, word);
}

function released(divided: DividedKeys) {
  return [central, witness].map((by) => {
    const mine = divided.forHolders.find(({ holder }) => holder === by.edgeId);
    if (mine === undefined) throw new TypeError('no share');
    const box = sealTo(provider.sealKey, openSealed(by, mine.delivery.share));
    return { holder: mine.holder, keyVersion: 1, box };
  });
}

/** What reaches the arbitrator, sealed to it and to nobody else. */
async function claimed(divided: DividedKeys, frames?: KeptFrames): Promise<WrongKeysClaim> {
  const box = claimOf(provider, central.sealKey, divided.forProvider, released(divided), frames);
  expect(() => readClaim(witness, box)).toThrow(/another edge/);
  return readClaim(central, box);
}

/** Signed anew by the customer, so that nothing but what it committed to is wrong. */
function recommitted(given: KeyPackage, changes: object): KeyPackage {
  const body = { ...given.header.body, ...changes };
  return { ...given, header: { ...given.header, ...signDocument(customer, KEY_HEADER_KIND, body) } as never };
}

describe('a customer that gave wrong keys', () => {
  test('is found out by frames that it signed for, without anybody’s word', async () => {
    const divided = await divide(WRONG);
    const opened = await openKeys(provider, divided.forProvider, released(divided));
    expect(unverified(opened, await kept())).toBe(0);
    const found = await judgeWrongKeys(terms, await claimed(divided, await kept()));
    expect(found).toMatchObject({ kind: 'wrongKeys', found: 'doesNotVerify', frame: 0 });
  });

  test('is found out where what it sealed does not open with the shares that it gave', async () => {
    const [divided, other] = [await divide(RIGHT), await divide(RIGHT)];
    const { sealedSecrets, nonce, header } = other.forProvider;
    const sealed = header.body.sealed;
    const forProvider = recommitted({ ...divided.forProvider, sealedSecrets, nonce }, { sealed });
    const found = await judgeWrongKeys(terms, await claimed({ ...divided, forProvider }));
    expect(found).toMatchObject({ found: 'doesNotOpen' });
  });
});

describe('an honest customer', () => {
  const lie = async (change: (claim: WrongKeysClaim) => WrongKeysClaim): Promise<unknown> =>
    judgeWrongKeys(terms, change(await claimed(await divide(RIGHT), await kept())));

  test('is not punished: its keys verify what it signed for', async () => {
    await expect(lie((claim) => claim)).rejects.toThrow(/no breach/);
    await expect(lie(({ kept: _none, ...claim }) => claim)).rejects.toThrow(/no frame shows them wrong/);
  });

  test.each<[string, (claim: WrongKeysClaim) => WrongKeysClaim, RegExp]>([
    [
      'shows another part',
      (claim) => ({ ...claim, part: toBase64(new Uint8Array(32)) }),
      /not what the customer/,
    ],
    [
      'shows another share',
      (claim) => ({ ...claim, shares: [claim.shares[0] ?? '', toBase64(new Uint8Array(33))] }),
      /not what the customer/,
    ],
    ['holds shares back', (claim) => ({ ...claim, shares: claim.shares.slice(0, 1) }), /take 2 of/],
    [
      'shows one share twice',
      (claim) => ({ ...claim, shares: [claim.shares[0] ?? '', claim.shares[0] ?? ''] }),
      /take 2 of/,
    ],
    [
      'changes the sealed keys',
      (claim) => ({ ...claim, sealedSecrets: toBase64(new Uint8Array(80)) }),
      /not what the customer/,
    ],
    [
      'shows frames that nobody signed for',
      (claim) => ({
        ...claim,
        kept: claim.kept && {
          ...claim.kept,
          frames: claim.kept.frames.map(() => toBase64(uplink(7, WRONG))),
        },
      }),
      /no breach/,
    ],
    [
      'signs for the frames itself',
      (claim) => ({
        ...claim,
        kept: claim.kept && {
          ...claim.kept,
          genuine: {
            ...claim.kept.genuine,
            ...signDocument(provider, claim.kept.genuine.kind, claim.kept.genuine.body),
            by: parseEdgeId(provider.edgeId),
            kind: claim.kept.genuine.kind,
          },
        },
      }),
      /has not signed/,
    ],
  ])('is not punished where its provider %s', async (_what, change, why) => {
    await expect(lie(change)).rejects.toThrow(why);
  });

  test('is not judged by frames that it signed for under other keys', async () => {
    const claim = await claimed(await divide(WRONG), await kept());
    const { genuine, frames } = await kept();
    const later = { ...genuine.body, keyVersion: 2 };
    const signed = {
      ...genuine,
      ...signDocument(customer, genuine.kind, later),
      kind: genuine.kind,
      by: genuine.by,
    };
    await expect(judgeWrongKeys(terms, { ...claim, kept: { genuine: signed, frames } })).rejects.toThrow(
      /other keys/,
    );
  });
});

test('a provider keeps only frames that its own ring holds', async () => {
  const made = [{ seq: 1, phyPayload: toBase64(uplink(99)) }];
  const word = genuineOf(customer, contractId, secretsWith(RIGHT), made);
  if (word === undefined) throw new TypeError('nothing genuine');
  await expect(keepGenuine(bridge, terms, word)).rejects.toThrow(/our ring does not hold/);
  const others = { ...word, genuine: { ...word.genuine, by: parseEdgeId(provider.edgeId) } };
  await expect(keepGenuine(bridge, terms, others)).rejects.toThrow(/has not signed/);
  expect(sha256Hex(uplink(7))).not.toBe(sha256Hex(uplink(8)));
});
