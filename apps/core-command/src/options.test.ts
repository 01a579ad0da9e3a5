import { expect, test } from '@jest/globals';
import { edgexEnvironment } from '@antirio/edgex-service';
import { coreCommandEnvironment, coreCommandOptions } from './index.ts';

test('the external broker is configured as EdgeX’s', () => {
  const given = {
    EXTERNALMQTT_ENABLED: 'true',
    EXTERNALMQTT_URL: 'ssl://plant:8883',
    EXTERNALMQTT_QOS: '1',
    EXTERNALMQTT_TOPICS_COMMANDREQUESTTOPIC: 'a/#',
  };
  const options = edgexEnvironment(given, coreCommandEnvironment);
  expect(coreCommandOptions.parse({ dataDir: '/', ...options }).externalMqtt).toMatchObject({
    enabled: true,
    url: 'ssl://plant:8883',
    qos: 1,
    retain: true,
    topics: { commandRequest: 'a/#', commandResponsePrefix: 'edgex/command/response' },
  });
  for (const url of ['http://x', 'mqtt://u:p@x', 'plant', 'tcp://broker:99999', 'tcp://[x]:1'])
    expect(coreCommandOptions.safeParse({ dataDir: '/', externalMqtt: { url } }).success).toBe(false);
});
