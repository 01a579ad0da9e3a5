// An event as a device service sends it, with what a test wants otherwise.
export const id = '040bd523-ec33-440d-9d72-e5813a465f37';
export const reading = (fields: Record<string, unknown> = {}): Record<string, unknown> => ({
  origin: 1602168089665565301n,
  deviceName: 'd',
  resourceName: 'r',
  profileName: 'p',
  valueType: 'Int16',
  value: '-7',
  ...fields,
});
export const eventOf = (
  readings: unknown[],
  fields: Record<string, unknown> = {},
): Record<string, unknown> => ({
  apiVersion: 'v3',
  id,
  deviceName: 'd',
  profileName: 'p',
  sourceName: 's',
  origin: 1602168089665565301n,
  readings,
  ...fields,
});
