import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createAes128 } from './aes.ts';
import { fromBase64, fromHex, toBase64, toHex, utf8 } from './bytes.ts';
import { canonicalJson } from './canonical-json.ts';
import { jsonProblem } from './json-problem.ts';
import { generateIdentity, openIdentity, parseEdgeId, signDocument, verifyDocument } from './identity.ts';
import { merklePath, merkleRoot, rootFromPath } from './merkle.ts';
import { openSealed, sealTo } from './sealed-box.ts';
import { uuidV5 } from './uuid.ts';

describe('AES-CMAC', () => {
  // RFC 4493, section 4
  const aes = createAes128(fromHex('2b7e151628aed2a6abf7158809cf4f3c'));
  const message =
    '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710';
  test.each([
    [0, 'bb1d6929e95937287fa37d129b756746'],
    [16, '070a16b46b4d4144f79bdd9dd04a287c'],
    [40, 'dfa66747de9ae63030ca32611497c827'],
    [64, '51f0bebf7e3b9d92fc49741779363cfe'],
  ])('of the first %i bytes of the RFC’s message', (length, expected) => {
    expect(toHex(aes.cmac(fromHex(message).subarray(0, length)))).toBe(expected);
  });
});

describe('canonical JSON', () => {
  test('is the same text whatever order the keys came in', () => {
    expect(canonicalJson({ b: [1, { d: 1e21, c: 'é' }], a: null })).toBe(
      canonicalJson({ a: null, b: [1, { c: 'é', d: 1e21 }] }),
    );
  });
});

describe('what has no canonical text', () => {
  const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}[]${']'.repeat(depth)}`);
  test.each([
    [{ a: ['\ud800'] }, 'a string is not Unicode'],
    [{ '\udc00': 1 }, 'a name is not Unicode'],
    [[NaN], 'a number is not finite'],
    [nested(8), 'nested too deeply'],
    [{ a: [1, 'é', null, true, { b: {} }] }, undefined],
    [nested(7), undefined],
  ])('is told before it is written', (value, problem) => {
    expect(jsonProblem(value, 8)).toBe(problem);
  });

  test.each([['\ud800'], [Infinity], [nested(6000)]])('is refused as bad input', (value) => {
    expect(() => canonicalJson(value)).toThrow(expect.objectContaining({ code: 'invalidInput' }));
  });
});

describe('bytes as text', () => {
  test('go there and back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromHex(toHex(bytes))).toEqual(bytes);
        expect(fromBase64(toBase64(bytes))).toEqual(bytes);
      }),
    );
  });
  test.each(['0', 'zz', '0x00'])('%s is no hexadecimal string', (text) => {
    expect(() => fromHex(text)).toThrow(/hexadecimal/);
  });
  test.each(['a', '====', 'ab_d'])('%s is no base64 string', (text) => {
    expect(() => fromBase64(text)).toThrow(/base64/);
  });
});

describe('an identity', () => {
  const one = openIdentity(generateIdentity());
  const two = openIdentity(generateIdentity());

  test('signs for one purpose: neither another kind, nor another body, nor another edge verifies', () => {
    const document = signDocument(one, 'antirio/test/1', { n: 1 });
    expect(verifyDocument(document, 'antirio/test/1')).toBe(true);
    expect(verifyDocument(document, 'antirio/test/2')).toBe(false);
    expect(verifyDocument({ ...document, body: { n: 2 } }, 'antirio/test/1')).toBe(false);
    expect(verifyDocument({ ...document, by: two.edgeId }, 'antirio/test/1')).toBe(false);
    expect(verifyDocument({ ...document, signature: 'AAAA' }, 'antirio/test/1')).toBe(false);
  });

  test('is refused where its file names another edge', () => {
    expect(() => openIdentity({ ...generateIdentity(), edgeId: one.edgeId })).toThrow(/another edge/);
    expect(() => parseEdgeId('12D3KooWnonsense')).toThrow(/not an edge id/);
  });

  test('opens what is sealed to it, and nothing that was changed or sealed to others', () => {
    const box = sealTo(one.sealKey, utf8('part'));
    expect(openSealed(one, box)).toEqual(utf8('part'));
    expect(() => openSealed(two, box)).toThrow(/another edge/);
    expect(() => openSealed(two, { ...box, to: two.edgeId })).toThrow(/do not open/);
    expect(() => sealTo({ ...one.sealKey, x25519: two.sealKey.x25519 }, utf8('part'))).toThrow(/not signed/);
  });
});

describe('a Merkle tree', () => {
  test('leads from every leaf by its path to the root, and from no other leaf', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 8 }), { minLength: 1, maxLength: 40 }),
        fc.nat(),
        (leaves, n) => {
          const index = n % leaves.length;
          const leaf = leaves[index] ?? new Uint8Array();
          const path = merklePath(leaves, index);
          const root = toHex(merkleRoot(leaves));
          expect(toHex(rootFromPath(leaf, index, leaves.length, path))).toBe(root);
          expect(toHex(rootFromPath(Uint8Array.of(...leaf, 1), index, leaves.length, path))).not.toBe(root);
        },
      ),
      { numRuns: 50 },
    );
  });
  test('of nothing has the root of RFC 6962', () => {
    expect(toHex(merkleRoot([]))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });
});

test('a name-based UUID is the one of RFC 9562', () => {
  // appendix A.4
  expect(uuidV5('6ba7b810-9dad-11d1-80b4-00c04fd430c8', utf8('www.example.com'))).toBe(
    '2ed6657d-e927-568b-95e1-2665a8aea6a2',
  );
});
