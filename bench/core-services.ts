import type { OwnProcess } from '@antirio/demo';
import { openBundled, type Place } from './bundled.ts';

const SERVICES = ['core-keeper', 'core-metadata', 'core-data', 'core-command'] as const;
const KEYS = {
  'core-keeper': 'coreKeeper',
  'core-metadata': 'coreMetadata',
  'core-data': 'coreData',
  'core-command': 'coreCommand',
} as const;
type Service = (typeof SERVICES)[number];

/** The four EdgeX core services and the broker, bundled, in one process. */
export interface CoreServices {
  readonly process: OwnProcess;
  readonly url: (service: Service) => string;
  readonly stop: () => Promise<void>;
}

/** Where they run, one time after the other; nothing of it outlives `close`. */
export interface CoreSetting {
  /** A new data folder. */
  newPlace(): Place;
  start(place: Place): Promise<CoreServices>;
  close(): Promise<void>;
}

export async function openCoreSetting(): Promise<CoreSetting> {
  const bundled = await openBundled(1);
  const rooms = SERVICES.map((service) => KEYS[service]);
  let places = 0;
  return {
    newPlace() {
      places += 1;
      return bundled.place(`core-${places}`, 0);
    },
    async start(place) {
      const started = await bundled.start(place, ['serve', 'broker', ...SERVICES], rooms);
      const { process, url, stop } = started;
      return { process, url: (service) => url(KEYS[service]), stop };
    },
    close: () => bundled.close(),
  };
}
