import { readChirpStackEvent } from '@antirio/device-lora/parsers';
import { utf8 } from '@antirio/kernel';
import type { Target } from './target.ts';

const LONGEST = 262_144;

const UP = {
  deduplicationId: 'ab21b66d-edc6-45f2-8906-7f97bcc907f2',
  time: '2026-11-21T07:59:58.103682790+00:00',
  deviceInfo: { applicationId: 'f02ad869-6864-4021-be22-98c58326dd3e', devEui: '0102030405b74b92' },
  ...{ devAddr: '01072428', fCnt: 1, fPort: 2, data: 'CcQ8', object: { humidity: 60 } },
  rxInfo: [{ gatewayId: '000000006b12933d', nsTime: '2026-11-21T07:59:57.884Z', rssi: -60, snr: 7.5 }],
  txInfo: { frequency: 868_100_000, modulation: { lora: { bandwidth: 125_000, spreadingFactor: 7 } } },
};
const V3 = {
  ...{ applicationID: '5', devEUI: 'AQIDBAUGBwg=', fCnt: 4, fPort: 2, data: 'CcQ8', objectJSON: '{"a":1}' },
  rxInfo: [{ gatewayID: 'AAAAAGsSkz0=', time: null, rssi: -60, loRaSNR: 7.5 }],
};

/** What a network server tells of its devices. */
export const networkTargets: readonly Target[] = [
  {
    name: 'up of ChirpStack',
    seeds: [utf8(JSON.stringify(UP)), utf8(JSON.stringify(V3))],
    ...{ format: 'json', longest: LONGEST },
    read: (bytes) => readChirpStackEvent('up', bytes),
  },
];
