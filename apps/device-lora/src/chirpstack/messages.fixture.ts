// What ChirpStack v4 sent to an application, and v3 by its documents.

const deviceInfo = {
  tenantId: '425b6c03-1742-4c83-9eba-3418aee7d34e',
  tenantName: 'edge-suite',
  applicationId: 'f02ad869-6864-4021-be22-98c58326dd3e',
  applicationName: 'sensors',
  deviceProfileId: 'bbf80685-b9d1-41b3-8435-446e8935137e',
  deviceProfileName: 'abp-103',
  deviceName: 'mote-abp',
  devEui: '0102030405b74b92',
  deviceClassEnabled: 'CLASS_A',
  tags: { edge: 'A' },
};

export const captured = {
  up: {
    deduplicationId: 'ab21b66d-edc6-45f2-8906-7f97bcc907f2',
    time: '2026-11-21T07:59:58.103682790+00:00',
    deviceInfo,
    ...{ devAddr: '01072428', adr: true, dr: 5, fCnt: 1, fPort: 2, confirmed: false, data: 'CcQ8' },
    object: { humidity: 60, temperature: 25, port: 2 },
    rxInfo: [
      {
        ...{ gatewayId: '000000006b12933d', uplinkId: 1, nsTime: '2026-11-21T07:59:57.884532036+00:00' },
        ...{ rssi: -60, snr: 7.5, location: {}, context: 'AQIDBA==', crcStatus: 'CRC_OK' },
      },
    ],
    txInfo: {
      frequency: 868_100_000,
      modulation: { lora: { bandwidth: 125_000, spreadingFactor: 7, codeRate: 'CR_4_5' } },
    },
    regionConfigId: 'eu868',
  },
  log: {
    ...{ time: '2026-11-21T08:00:05.026125386+00:00', deviceInfo, level: 'WARNING' },
    ...{ code: 'UPLINK_F_CNT_RESET', description: 'Frame-counter reset or rollover detected' },
    context: { f_cnt_up: '10', deduplication_id: 'b60d02f5-1749-4870-b9f0-c4d047b89178' },
  },
};

/** The uplink with something else in it. */
export const uplink = (change: Record<string, unknown>) => ({ ...captured.up, ...change });

export const join = (devEui = '1112131415b74b92', devAddr = '017d351b') => ({
  ...{ deduplicationId: 'ae62ccf9-fbce-475d-819a-09ce6dc72485', time: '2026-11-21T08:00:10.196053930+00:00' },
  deviceInfo: { ...deviceInfo, devEui },
  devAddr,
});

export const txack = (queueItemId: string, fCntDown: number, devEui = deviceInfo.devEui) => ({
  ...{
    downlinkId: 2_482_275_203,
    time: '2026-11-21T08:00:11.0+00:00',
    deviceInfo: { ...deviceInfo, devEui },
  },
  ...{ queueItemId, fCntDown, gatewayId: '000000006b12933d' },
});

/** By v3's own marshaler, or its JSON of protobuf. */
export const v3uplink = (devEUI: string) => ({
  ...{ applicationID: '5', applicationName: 'sensors', deviceName: 'mote', devEUI },
  rxInfo: [{ gatewayID: 'AAAAAGsSkz0=', time: null, rssi: -60, loRaSNR: 7.5 }],
  ...{ txInfo: { frequency: 868_100_000, dr: 5 }, adr: true, fCnt: 4, fPort: 2, data: 'CcQ8' },
  objectJSON: '{"temperature":21.5}',
});
