import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  contractVolumeKey,
  homeRule,
  isRestoreDue,
  isWrappedFor,
  offerProblem,
  sealedLimit,
  versionVolumeKey,
  wrappedVersions,
} from './volume-snapshot.ts';
import { volumesIn, volumesTermsOf } from './volumes.ts';

const db = { imageName: 'db:1', imageCid: 'bafy', volumes: ['state:/data/state'] };

describe('volumes of a configuration', () => {
  test('the own service mounts in the words of the thesis, those beside it in those of compose', () => {
    const found = volumesIn({
      namedVolumes: { state: { maxBytes: 8192, everyS: 5 }, log: {} },
      volumes: '/dev:/dev, log:/data/log',
      services: { db },
    });
    expect(found.own).toEqual([{ volume: 'log', path: '/data/log' }]);
    expect(found.beside).toEqual({ db: [{ volume: 'state', path: '/data/state' }] });
    expect(volumesTermsOf(found)).toEqual({ maxBytes: 8192 + 67_108_864, everyS: 5 });
  });

  test('without named volumes nothing changes, whatever the text says', () => {
    expect(volumesIn({ volumes: '/dev:/dev,state:/x' })).toEqual({ named: {}, own: [], beside: {} });
    expect(volumesTermsOf(volumesIn(undefined))).toBeUndefined();
  });

  test.each([
    [{ namedVolumes: { state: {} } }, 'nobody mounts the volume state'],
    [{ services: { db } }, 'state is none of namedVolumes'],
    [{ namedVolumes: { state: {} }, volumes: 'state:/data/../etc' }, 'mounted as name:/folder'],
    [{ namedVolumes: { state: {} }, volumes: 'state:/run/x' }, 'mounted as name:/folder'],
    [{ namedVolumes: { state: {} }, volumes: 'state:/data:ro' }, 'mounted as name:/folder'],
    [{ namedVolumes: { a: {}, b: {} }, volumes: 'a:/data,b:/data/b' }, 'none below another'],
    [{ namedVolumes: { a: {} }, volumes: 'a:/x,a:/y' }, 'each volume once'],
    [{ namedVolumes: { state: { maxBytes: 1 } }, volumes: 'state:/d' }, 'namedVolumes.state.maxBytes'],
  ])('%j is refused', (configuration, message) => {
    expect(() => volumesIn(configuration)).toThrow(message);
  });
});

describe('whose content takes the place', () => {
  test.each([
    [{ base: 3, baseDigest: 'x', ownDigest: 'x' }, 'replace'],
    [{ base: 3, baseDigest: 'x', ownDigest: undefined }, 'replace'],
    [{ base: 3, baseDigest: 'x', ownDigest: 'y' }, 'replaceKeepingOwn'],
    // our disk is older than that snapshot
    [{ base: 3, baseDigest: undefined, ownDigest: 'y' }, 'replaceKeepingOwn'],
    [{ base: undefined, baseDigest: undefined, ownDigest: 'y' }, 'beside'],
    [{ base: undefined, baseDigest: undefined, ownDigest: undefined }, 'replace'],
  ])('%j: %s', (coming, rule) => {
    expect(homeRule(coming)).toBe(rule);
  });

  test('own content that no snapshot had is never let go of', () => {
    const digest = fc.option(fc.constantFrom('x', 'y', 'z'), { nil: undefined });
    const base = fc.option(fc.nat(9), { nil: undefined });
    fc.assert(
      fc.property(base, digest, digest, (from, baseDigest, ownDigest) => {
        const rule = homeRule({ base: from, baseDigest, ownDigest });
        expect(rule === 'replace' && ownDigest !== undefined).toBe(
          rule === 'replace' && ownDigest !== undefined && ownDigest === baseDigest && from !== undefined,
        );
      }),
    );
  });
});

test('a provider fills its volumes once, and again only from something newer', () => {
  expect(isRestoreDue({ held: undefined, live: undefined })).toBe(true);
  expect(isRestoreDue({ held: 4, live: undefined })).toBe(true);
  expect(isRestoreDue({ held: 4, live: 4 })).toBe(false);
  expect(isRestoreDue({ held: undefined, live: 0 })).toBe(false);
  expect(isRestoreDue({ held: 1, live: 0 })).toBe(true);
});

/** A provider's disk: the snapshot that it holds, and the one that its volumes were filled from. */
interface Held {
  readonly held: number;
  readonly live: number | undefined;
  readonly serves: boolean;
}
type Act = { readonly seq: number; readonly size: number } | 'serve' | 'standBy';

function after(disk: Held, act: Act): Held {
  const { held, live, serves } = disk;
  if (act === 'standBy') return { ...disk, serves: false };
  if (act === 'serve') return { held, live: isRestoreDue({ held, live }) ? held : live, serves: true };
  const why = offerProblem(act, { newest: held, maxBytes: 1000, serves });
  return why === undefined ? { ...disk, held: act.seq } : disk;
}

test('whatever is offered in whatever order, no provider holds or restores an older snapshot over a newer one', () => {
  const offer = fc.record({ seq: fc.integer({ min: 1, max: 9 }), size: fc.constantFrom(900, 10 ** 9) });
  const acts = fc.array(fc.oneof(offer, fc.constantFrom('serve' as const, 'standBy' as const)), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(acts, (drawn) => {
      let disk: Held = { held: 0, live: undefined, serves: false };
      for (const act of drawn) {
        const next = after(disk, act);
        expect(next.held).toBeGreaterThanOrEqual(disk.held);
        expect(next.live ?? -1).toBeGreaterThanOrEqual(disk.live ?? -1);
        // what the service works on is the newest that was held when it began
        expect(next.live).toBe(act === 'serve' ? next.held : disk.live);
        disk = next;
      }
    }),
  );
});

test('a snapshot is not taken while the provider serves, nor where it is older or over what was agreed', () => {
  const here = { newest: 4, maxBytes: 1000, serves: false };
  expect(offerProblem({ seq: 5, size: 900 }, here)).toBeUndefined();
  expect(offerProblem({ seq: 4, size: 900 }, here)).toBeUndefined();
  expect(offerProblem({ seq: 3, size: 900 }, here)).toBe('old');
  expect(offerProblem({ seq: 5, size: sealedLimit(1000) + 1 }, here)).toBe('tooLarge');
  expect(offerProblem({ seq: 5, size: 900 }, { ...here, serves: true })).toBe('serving');
});

test('keys of one version say nothing of another’s, and a snapshot is sealed for those to come', () => {
  const key = contractVolumeKey('11'.repeat(32), '6a6e5df8-14ab-4f2c-b6f2-2b1d0c4e9a01');
  expect(versionVolumeKey(key, 1)).not.toBe(versionVolumeKey(key, 2));
  const keys = wrappedVersions(7).map((version) => ({ version }));
  expect(isWrappedFor(keys, 7)).toBe(true);
  expect(isWrappedFor(keys, 14)).toBe(true);
  expect(isWrappedFor(keys, 15)).toBe(false);
});
