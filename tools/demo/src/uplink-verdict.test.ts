import { describe, expect, test } from '@jest/globals';
import { air, device, GATEWAY_A, GATEWAY_B, identity, storedEvent } from './evidence.test-support.ts';
import { measuredOf, RESOURCES, saysWhatWasSent } from './stored-events.ts';
import { judgeUplinks, type Evidence } from './uplink-verdict.ts';

const both = [GATEWAY_A, GATEWAY_B];

function evidence(changes: Partial<Omit<Evidence, 'truth'>> & Partial<Evidence['truth']>): Evidence {
  const { identities = [], foreign = [], bitflips = [], ...rest } = changes;
  return {
    devices: [device],
    events: [],
    disturbances: [],
    ...rest,
    truth: { identities, foreign, bitflips },
  };
}

describe('uplinks', () => {
  test('that are heard, acknowledged and stored are all that they should be', () => {
    const identities = [
      identity(air('uplink', 1, 1_000, both)),
      identity(air('uplink', 2, 3_000, [GATEWAY_B])),
      identity(air('uplink', 3, 5_000, [])),
    ];
    const verdict = judgeUplinks(evidence({ identities, events: [storedEvent(1), storedEvent(2)] }));
    expect(verdict.uplinks).toEqual({
      ...{ sent: 3, heard: 2, covered: 2, unacknowledged: 0, stored: 2 },
      ...{ lost: 0, doubled: 0, forged: 0 },
    });
    expect(verdict.faults).toEqual([]);
  });

  test('that one edge acknowledged and A does not have are lost', () => {
    const identities = [
      identity(air('uplink', 1, 1_000, both, [GATEWAY_B])),
      identity(air('uplink', 2, 3_000, both)),
    ];
    const verdict = judgeUplinks(evidence({ identities, events: [storedEvent(2)] }));
    expect(verdict.uplinks).toMatchObject({ covered: 2, stored: 1, lost: 1 });
    expect(verdict.faults.join()).toContain(`1 lost: ${device.devEui}`);
  });

  test('that only the neighbour heard, when its contract was over, are nobody’s', () => {
    const unguarded = [{ gateway: GATEWAY_B, from: 2_000, until: 6_000 }];
    const identities = [
      identity(air('uplink', 1, 1_000, both, [GATEWAY_B])),
      identity(air('uplink', 2, 3_000, [GATEWAY_B])),
      identity(air('uplink', 3, 5_000, both)),
      identity(air('uplink', 4, 7_000, [GATEWAY_B])),
    ];
    const verdict = judgeUplinks(evidence({ identities, unguarded }));
    expect(verdict.uplinks).toMatchObject({ sent: 4, heard: 3, covered: 3, lost: 3, unacknowledged: 0 });
  });

  test('that have two events are doubled', () => {
    const identities = [identity(air('uplink', 1, 1_000, both))];
    const events = [storedEvent(1), { ...storedEvent(1), id: 'another' }];
    const verdict = judgeUplinks(evidence({ identities, events }));
    expect(verdict.uplinks).toMatchObject({ stored: 1, doubled: 1, forged: 0 });
    expect(verdict.faults).toHaveLength(1);
  });

  test.each([
    ['of a counter that no mote sent', storedEvent(2)],
    ['with a value that was not sent', storedEvent(1, { temperature: '21.6' })],
    ['without a value that was sent', { ...storedEvent(1), readings: storedEvent(1).readings.slice(1) }],
    ['of another session', { ...storedEvent(1), tags: { ...storedEvent(1).tags, session: '0'.repeat(16) } }],
    ['that bear another frame', { ...storedEvent(1), tags: { ...storedEvent(1).tags, phyPayload: 'AAAA' } }],
    ['without an identity', { ...storedEvent(1), tags: {} }],
  ])('%s are forged', (_, event) => {
    const identities = [identity(air('uplink', 1, 1_000, both))];
    const verdict = judgeUplinks(evidence({ identities, events: [storedEvent(1), event] }));
    expect(verdict.uplinks).toMatchObject({ stored: 1, forged: 1 });
    expect(verdict.faults.join()).toContain('forged');
  });

  test('whose only event has the wrong payload are lost as well as forged', () => {
    const identities = [identity(air('uplink', 1, 1_000, both))];
    const verdict = judgeUplinks(evidence({ identities, events: [storedEvent(1, { humidity: '41' })] }));
    expect(verdict.uplinks).toMatchObject({ stored: 0, lost: 1, forged: 1 });
  });

  test('no traffic at all is a failure', () => {
    expect(judgeUplinks(evidence({})).faults).toContain('no uplink was sent');
  });
});

describe('frames that no edge acknowledged', () => {
  const unacknowledged = (heardBy: readonly string[], at: number) => [
    identity(air('uplink', 1, at, heardBy, [])),
    identity(air('uplink', 2, 1, both)),
  ];
  const events = [storedEvent(2)];
  const disturbances = [{ gateway: GATEWAY_A, from: 10_000, until: 12_000 }];

  test.each([9_100, 10_500, 11_900])(
    'are excused at %d ms, when the only gateway that heard them had no edge',
    (at) => {
      const verdict = judgeUplinks(
        evidence({ identities: unacknowledged([GATEWAY_A], at), events, disturbances }),
      );
      expect(verdict.uplinks).toMatchObject({ heard: 2, covered: 1, unacknowledged: 1, lost: 0 });
      expect(verdict.faults).toEqual([]);
    },
  );

  test.each([
    ['more than a second before the failure', [GATEWAY_A], 8_900],
    ['after it was over', [GATEWAY_A], 12_000],
    ['when the other edge lived and heard them too', both, 10_500],
    ['at a gateway of an edge that did not fail', [GATEWAY_B], 10_500],
  ] as const)('are a failure %s', (_, heardBy, at) => {
    const verdict = judgeUplinks(evidence({ identities: unacknowledged(heardBy, at), events, disturbances }));
    expect(verdict.faults.join()).toContain('not acknowledged');
  });
});

describe('hostile and repeated frames', () => {
  const bitflip = air('bitflip', 7, 1_500, both);
  const foreign = air('foreign', 9, 1_600, [GATEWAY_B]);
  const identities = [
    identity(
      air('uplink', 1, 1_000, both),
      air('retransmission', 1, 1_400, both),
      air('replay', 1, 4_000, [GATEWAY_A]),
    ),
    identity(air('uplink', 2, 3_000, []), air('replay', 2, 5_000, both), air('replay', 2, 5_100, both)),
    identity(air('uplink', 3, 3_000, both), air('retransmission', 3, 3_400, [])),
  ];
  const stored = [storedEvent(1), storedEvent(2), storedEvent(3)];

  test('are refused where they were heard and brought nothing new', () => {
    const verdict = judgeUplinks(
      evidence({
        identities,
        events: stored,
        bitflips: [bitflip, air('bitflip', 8, 1_700, [])],
        foreign: [foreign],
      }),
    );
    // The first replay of frame 2 was the first time that anybody heard it.
    expect(verdict.refused).toEqual({ replay: 2, badMic: 1, foreign: 1, retransmission: 1 });
    expect(verdict.faults).toEqual([]);
  });

  test('do not count as refused where an event was made of them', () => {
    const events = [...stored, storedEvent(7), { ...storedEvent(1), id: 'again' }];
    const verdict = judgeUplinks(evidence({ identities, events, bitflips: [bitflip], foreign: [foreign] }));
    expect(verdict.refused).toEqual({ replay: 1, badMic: 0, foreign: 1, retransmission: 0 });
    expect(verdict.uplinks).toMatchObject({ doubled: 1, forged: 1 });
  });
});

test('a payload is read by its Cayenne LPP types', () => {
  expect(measuredOf('01' + '67' + 'ffce' + '02' + '68' + '51' + '03' + '02' + 'ffff')).toEqual({
    [RESOURCES.temperature]: -5,
    [RESOURCES.humidity]: 40.5,
    [RESOURCES.analogInput]: -0.01,
  });
  expect(saysWhatWasSent(storedEvent(1), { payload: '', phyPayload: '' })).toBe(false);
});
