import { expect, test } from '@jest/globals';
import { createBroker, createLocalBus } from '@antirio/bus';
import { silentLog, systemClock, waitFor } from '@antirio/host';
import { openControl } from './control.ts';

test('two versions of a service beside each other each hear and tell on topics of their own', async () => {
  const broker = createBroker({ secret: new Uint8Array(32), listeners: [] }, silentLog);
  await broker.start();
  const bus = createLocalBus(broker, silentLog);
  const heard: string[] = [];
  const told = new Map<string, string>();
  const base = 'contract/c-1/antirio/service/device-lora';
  try {
    for (const filter of [`${base}/status`, `${base}/+/status`])
      await bus.subscribe(filter, (topic, payload) => void told.set(topic, Buffer.from(payload).toString()));
    const open = (instance: string | undefined) =>
      openControl({
        bus,
        prefix: 'contract/c-1/',
        serviceName: 'device-lora',
        instance,
        log: silentLog,
        onControl: async ({ type }) => void heard.push(`${instance ?? 'first'} ${type}`),
        status: () => instance ?? 'first',
      });
    const controls = [await open(undefined), await open('v2')];
    await bus.publish(`${base}/v2/control`, JSON.stringify({ type: 'standdown' }), { qos: 1 });
    await bus.publish(`${base}/control`, JSON.stringify({ type: 'standdown' }), { qos: 1 });
    await waitFor(systemClock, 5000, () => (heard.length === 2 && told.size === 2 ? true : undefined));
    expect(heard).toEqual(['v2 standdown', 'first standdown']);
    expect([...told].sort()).toEqual([
      [`${base}/status`, '"first"'],
      [`${base}/v2/status`, '"v2"'],
    ]);
    for (const control of controls) await control.close();
  } finally {
    await bus.close();
    await broker.stop();
  }
});
