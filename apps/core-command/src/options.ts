import { z } from 'zod';
import { edgexServiceOptions, type OwnSettings } from '@antirio/edgex-service';

const filter = z.string().min(1).max(1024);
const topic = filter.regex(/^[^+#]*$/, 'should have no wildcards');

/** EdgeX's ExternalMQTT, with the topics of its configuration. */
const externalMqtt = z.strictObject({
  enabled: z.boolean().default(false),
  url: z
    .string()
    .regex(/^(?:mqtts?|tcp|ssl|tls):\/\/[^/@\s]+$/, 'should be mqtt://host:port, without user and password')
    .refine(
      (url) => URL.canParse(url),
      'should be mqtt://host:port, with a host and a port that there may be',
    )
    .default('tcp://localhost:1883'),
  authMode: z.enum(['none', 'usernamepassword']).default('none'),
  /** The secret with `username` and `password`. */
  secretName: z.string().min(1).default('mqtt'),
  qos: z.union([z.literal(0), z.literal(1)]).default(0),
  /** Whether the broker keeps the last answer of each topic. */
  retain: z.boolean().default(true),
  topics: z
    .strictObject({
      commandRequest: filter.default('edgex/command/request/#'),
      commandResponsePrefix: topic.default('edgex/command/response'),
      queryRequest: filter.default('edgex/commandquery/request/#'),
      queryResponse: topic.default('edgex/commandquery/response'),
    })
    .prefault({}),
});

export const coreCommandOptions = z.strictObject({
  port: z.int().min(0).max(65535).default(59882),
  bind: z.string().default('127.0.0.1'),
  ...edgexServiceOptions,
  /** The edge's data folder; the room keeps to `core-command` in it, where only its secrets are. */
  dataDir: z.string().min(1),
  /** How clients reach this room, shown with each command; by default the address that it listens on. */
  publicUrl: z.url().optional(),
  /** EdgeX's MaxResultCount. */
  maxResultCount: z.int().min(1).max(100_000).default(1024),
  /** Devices and device services that are remembered between commands. */
  maxRemembered: z.int().min(1).default(10_000),
  /** After this long core-metadata is asked anew, also where no system event told of a change. */
  rememberMs: z.int().min(0).default(10_000),
  /** Largest request (EdgeX: MaxRequestSize). */
  maxBodyBytes: z
    .int()
    .min(1024)
    .default(1 << 20),
  /** Largest answer of a device service. */
  maxAnswerBytes: z
    .int()
    .min(1024)
    .default(32 << 20),
  /** Commands that came by the bus and wait for their answer at once; each may take as long as a request (`service.requestTimeoutMs`). */
  maxBusCommands: z.int().min(1).default(256),
  /** A broker outside of the edge, by which commands come too. */
  externalMqtt: externalMqtt.prefault({}),
});

export type CoreCommandOptions = z.output<typeof coreCommandOptions>;

/** What it takes from the environment under EdgeX's names, besides what all services take. */
export const coreCommandEnvironment: OwnSettings = {
  integers: { 'Service/MaxResultCount': 'maxResultCount', 'ExternalMQTT/QoS': 'externalMqtt.qos' },
  flags: { 'ExternalMQTT/Enabled': 'externalMqtt.enabled', 'ExternalMQTT/Retain': 'externalMqtt.retain' },
  texts: {
    'ExternalMQTT/Url': 'externalMqtt.url',
    'ExternalMQTT/AuthMode': 'externalMqtt.authMode',
    'ExternalMQTT/SecretName': 'externalMqtt.secretName',
    'ExternalMQTT/Topics/CommandRequestTopic': 'externalMqtt.topics.commandRequest',
    'ExternalMQTT/Topics/CommandResponseTopicPrefix': 'externalMqtt.topics.commandResponsePrefix',
    'ExternalMQTT/Topics/CommandQueryRequestTopic': 'externalMqtt.topics.queryRequest',
    'ExternalMQTT/Topics/CommandQueryResponseTopic': 'externalMqtt.topics.queryResponse',
  },
  without: {
    'ExternalMQTT/ClientId': 'each connection has an id of its own',
    'ExternalMQTT/ConnectTimeout': 'the broker is tried until it answers',
    'ExternalMQTT/AutoReconnect': 'the broker is tried until it answers',
    'ExternalMQTT/KeepAlive': 'the client of the broker has its own settings',
    'ExternalMQTT/SkipCertVerify': 'certificates are always verified',
  },
  kilobytes: { 'Service/MaxRequestSize': 'maxBodyBytes' },
  hasMetadata: true,
};
