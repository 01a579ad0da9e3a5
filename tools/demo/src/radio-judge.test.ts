import { describe, expect, test } from '@jest/globals';
import { downlink, GATEWAY_A, GATEWAY_B } from './evidence.test-support.ts';
import { judgeRadio, type EpochGrant, type Party, type RadioEvidence } from './radio-judge.ts';

const gateways = new Map<string, Party>([
  [GATEWAY_A, 'customer'],
  [GATEWAY_B, 'provider'],
]);
const slots = { customer: 0, provider: 1 };
const grants: readonly EpochGrant[] = [
  { epoch: 1, holder: 'customer', mayActFrom: 1_000 },
  { epoch: 2, holder: 'provider', mayActFrom: 10_000 },
  { epoch: 3, holder: 'customer', mayActFrom: 20_000 },
];

const judge = (downlinks: RadioEvidence['downlinks'], changes: Partial<RadioEvidence> = {}) =>
  judgeRadio({ downlinks, ignored: [], gateways, slots, grants, ...changes });

test('each party may act in its own epoch and its own blocks', () => {
  const verdict = judge([
    downlink(1, 500, GATEWAY_A, 17),
    downlink(2, 2_000, GATEWAY_A, 64),
    downlink(3, 11_000, GATEWAY_B, 16),
    downlink(4, 21_000, GATEWAY_A, 128),
  ]);
  expect(verdict.faults).toEqual([]);
  expect(verdict.onAir).toEqual([
    { party: 'customer', epoch: 0, count: 1 },
    { party: 'customer', epoch: 1, count: 1 },
    { party: 'provider', epoch: 2, count: 1 },
    { party: 'customer', epoch: 3, count: 1 },
  ]);
});

describe('a fault is found', () => {
  test('in a frame of a lower epoch once the higher one may act', () => {
    const [fault] = judge([downlink(1, 10_001, GATEWAY_A, 0)]).faults;
    expect(fault).toContain('the customer acted while epoch 2 of the provider ruled');
  });

  test('in a frame before its own epoch may act, with how much too early', () => {
    const [fault] = judge([downlink(1, 9_400, GATEWAY_B, 16)]).faults;
    expect(fault).toContain('600 ms before epoch 2 may act');
    expect(judge([downlink(1, 19_999, GATEWAY_A, 0)]).faults).toHaveLength(1);
  });

  test("in a provider's frame where it was given no epoch at all", () => {
    expect(judge([downlink(1, 500, GATEWAY_B, 16)], { grants: [] }).faults).toHaveLength(1);
  });

  test("in a counter of another party's block", () => {
    expect(judge([downlink(1, 11_000, GATEWAY_B, 15)]).faults.join()).toContain('slot 0, the provider has 1');
    expect(judge([downlink(1, 2_000, GATEWAY_A, 16)]).faults.join()).toContain('slot 1, the customer has 0');
  });

  test('in a counter that is used for other bytes, by whomever; the same bytes may go again', () => {
    const repeated = [downlink(1, 2_000, GATEWAY_A, 1, 'aa'), downlink(2, 4_000, GATEWAY_A, 1, 'aa')];
    expect(judge(repeated).faults).toEqual([]);
    expect(judge([...repeated, downlink(3, 5_000, GATEWAY_A, 1, 'bb')]).faults).toHaveLength(1);
  });

  test('in a frame that no mote can take', () => {
    const ignored = {
      type: 'downlinkIgnored',
      downlinkId: 1,
      devEui: null,
      gateway: GATEWAY_A,
      at: 2_000,
    } as const;
    const sent = [downlink(1, 2_000, GATEWAY_A, 1)];
    expect(judge(sent, { ignored: [{ ...ignored, reason: 'mic' }] }).faults).toHaveLength(1);
    expect(judge(sent, { ignored: [{ ...ignored, reason: 'noWindow' }] }).faults).toEqual([]);
  });

  test("from a gateway that is nobody's", () => {
    expect(judge([downlink(1, 2_000, 'c'.repeat(16), 0)]).faults).toHaveLength(1);
  });
});
