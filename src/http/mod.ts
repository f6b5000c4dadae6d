/** What an HTTP exchange is, whatever carries it: messages, header rules, bodies, timeouts, problems, observation. */
export { acceptQualities } from "./accept.ts";
export { hostSettingFault, isAuthority, sameAuthority, splitUrl } from "./authority.ts";
export {
  BodyLengthError,
  type BodyObserver,
  type BodyOwner,
  BodyPump,
  type BodySink,
  BodySource,
  cancelBody,
  collectBody,
  CollectBudget,
  observeBody,
  streamOf,
} from "./body/mod.ts";
export { COLON, CR, isSpaceOrTab, LF, SP, targetBytes, tokenBytes, valueBytes } from "./bytes.ts";
export { acceptsGzip, compressedResponse, compressedUpstream, gzipBody } from "./coding/mod.ts";
export { isConnectionChallenge, isConnectionCredentials } from "./connection_auth.ts";
export { fetchHandler } from "./fetch_handler.ts";
export { fetchUpstream } from "./fetch_upstream.ts";
export {
  addNominations,
  endToEndFields,
  equalsLower,
  fieldValue,
  fieldValues,
  hasToken,
  isFieldValue,
  isHopByHop,
  isProtocol,
  isProtocolList,
  isToken,
  listedProtocols,
  listHasToken,
  listMembers,
  parseLength,
  trailerFields,
  withoutFields,
  withoutHost,
} from "./fields.ts";
export { Forwarding, publicAnswer, requestIdOf, withoutForwarding } from "./forwarding.ts";
export { hasMediaType, isLiveFormat, LiveTypes } from "./media_type.ts";
export { type Answer, type Body, type Fields, type Handler, pathOf, type RequestHead, withFields } from "./message.ts";
export { type ExchangeReporter, observeExchanges, type RequestReport } from "./observer.ts";
export { type OpenExchange, OpenExchanges } from "./open_exchanges.ts";
export { errorAnswer, errorFieldName, problemAnswer, problemCodeOf } from "./problem_answer.ts";
export {
  ExchangeError,
  isProblemCode,
  type ProblemCode,
  problemCodes,
  type ProblemKind,
  problemKinds,
} from "./problems.ts";
export { reasonPhrase, unusualReason } from "./reason_phrases.ts";
export { defaultExchangeTimeouts, type ExchangeTimeouts, TimeoutGuard } from "./timeouts.ts";
export { DURATION_BOUNDS_MS, type ExchangeMeter, type ExchangeServer, type Suspendable, Traffic } from "./traffic.ts";
export { UpstreamError } from "./upstream_error.ts";
export {
  peerOf,
  TrustedProxies,
  type TrustedProxiesOptions,
  trustedProxyFault,
  UNIX_PEER,
  type Visitor,
} from "./trusted_proxies.ts";
export { askedProtocols, contentOf, isAsked, isPlainUpgrade, upgradeContentLength, upgradeParts } from "./upgrade.ts";
export { withUpstreamOrigin } from "./upstream_origin.ts";
