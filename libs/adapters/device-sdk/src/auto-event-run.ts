import { uuidV4, type Random } from '@antirio/kernel';
import { changeOf, type LastReadings } from '@antirio/device-values';
import type { AutoEvent } from '@antirio/edgex-contracts';
import type { AutoEventRun } from './auto-events.ts';
import type { Commands } from './commands.ts';
import type { Events } from './events.ts';
import type { Lanes } from './lanes.ts';

interface Ports {
  readonly commands: Pick<Commands, 'read'>;
  readonly events: Pick<Events, 'send'>;
  readonly random: Random;
  readonly lanes: Lanes;
}

/** What an auto event does each time: it reads, and sends what it has read, or with `onChange` what differs from what it sent last. */
export function autoEventRuns(ports: Ports): (deviceName: string, autoEvent: AutoEvent) => AutoEventRun {
  const { commands, events, lanes, random } = ports;
  return (deviceName, autoEvent) => {
    let last: LastReadings | undefined;
    return {
      async tick() {
        const event = await commands.read(deviceName, autoEvent.sourceName);
        if (event === undefined) return;
        const change = changeOf(last, event.readings, autoEvent);
        if (!change.changed) return;
        await lanes.run(() => events.send(event, uuidV4(random)));
        // what could not be sent is news the next time, too
        last = change.last;
      },
    };
  };
}
