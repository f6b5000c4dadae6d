/** A CA by the package `acme-client`, which knows the protocol's requests, signatures and nonces. */
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import type * as Acme from "acme-client";
import { messageOf, printable } from "../base/mod.ts";
import { createPrivateFile, readIfExists } from "../config/mod.ts";
import { CaRequests } from "./ca_requests.ts";
import {
  AcmeError,
  type ChallengeType,
  type IssuedCertificate,
  type Issuer,
  type IssueRequest,
  type Proof,
} from "./issuer.ts";

export interface AcmeClientIssuerOptions {
  readonly directoryUrl: string;
  /** The file of the account's key. It is made with the first order. */
  readonly accountKeyPath: string;
  /** Where the CA writes to its users. Default: it gets no address. */
  readonly email?: string;
  /** PEM: authorities that are trusted for the directory, in place of the system's. */
  readonly ca?: string;
  /** Told once, before the terms of the CA are accepted. Null: it names none. */
  onTerms?(url: string | null): void;
}

/** How often the CA is asked what became of a challenge or an order: after these pauses, which double. */
const POLL = { backoffAttempts: 20, backoffMin: 250, backoffMax: 10_000 };
/** Of the CA's sentence. */
const MAX_WORDS = 500;

/** Signed in at the CA. */
interface Account {
  readonly acme: typeof Acme;
  readonly client: Acme.Client;
}

type Challenge = Acme.Authorization["challenges"][number];

/** An open challenge, and what answers it. */
interface OpenChallenge {
  readonly challenge: Challenge;
  readonly proof: Proof;
}

export class AcmeClientIssuer implements Issuer {
  readonly #options: AcmeClientIssuerOptions;
  #account: Promise<Account> | null = null;
  #hasToldTerms = false;

  constructor(options: AcmeClientIssuerOptions) {
    this.#options = options;
  }

  async issue(request: IssueRequest): Promise<IssuedCertificate> {
    try {
      const account = await (this.#account ??= this.#signIn());
      return await this.#issueWith(account, request);
    } catch (error) {
      // The CA may have forgotten the account: the next order signs in anew.
      this.#account = null;
      throw error;
    }
  }

  async #signIn(): Promise<Account> {
    const { directoryUrl, email, ca, onTerms } = this.#options;
    // It takes some time to load, and most edges never need it.
    const acme = await import("acme-client");
    acme.axios.defaults.adapter = adapterOf(new CaRequests({ ca }));
    const client = new acme.Client({ directoryUrl, accountKey: await this.#accountKey(), ...POLL });
    await asking("The directory of the CA cannot be read", async () => {
      const terms = await client.getTermsOfServiceUrl() ?? null;
      if (!this.#hasToldTerms) onTerms?.(terms);
      this.#hasToldTerms = true;
    });
    await asking(
      "The CA gives no account",
      () =>
        client.createAccount({ termsOfServiceAgreed: true, contact: email === undefined ? [] : [`mailto:${email}`] }),
    );
    return { acme, client };
  }

  async #accountKey(): Promise<string> {
    const { accountKeyPath } = this.#options;
    try {
      const known = await readIfExists(accountKeyPath);
      if (known !== null) {
        createPrivateKey(known);
        return known;
      }
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const made = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
      return await createPrivateFile(accountKeyPath, made) ? made : await readIfExists(accountKeyPath) ?? made;
    } catch (error) {
      throw new AcmeError(`The account's key ${accountKeyPath} cannot be used: ${messageOf(error)}`, error);
    }
  }

  async #issueWith({ acme, client }: Account, { names, challenge, prover }: IssueRequest): Promise<IssuedCertificate> {
    const identifiers = names.map((value) => ({ type: "dns", value }));
    const order = await asking("The CA takes no order", () => client.createOrder({ identifiers }));
    const authorizations = await asking(
      "The CA does not say what it wants to see",
      () => client.getAuthorizations(order),
    );
    const open: OpenChallenge[] = [];
    for (const authorization of authorizations) {
      // The CA remembers for a while what was shown to it.
      if (authorization.status !== "valid") open.push(await openChallenge(client, authorization, challenge));
    }
    try {
      // All of them before the first is looked at: two may be records of one name, which resolvers keep for a while.
      for (const { proof } of open) await prover.present(proof);
      for (const item of open) await proved(client, item, challenge);
    } finally {
      for (const { proof } of open) await prover.cleanUp(proof).catch(() => {});
    }
    const [key, request] = await acme.crypto.createCsr(
      { altNames: [...names] },
      await acme.crypto.createPrivateEcdsaKey(),
    );
    const finalized = await asking("The CA issues no certificate", () => client.finalizeOrder(order, request));
    const chain = await asking("The CA issues no certificate", () => client.getCertificate(finalized));
    return { chain, key: key.toString() };
  }
}

type Adapter = Extract<typeof Acme.axios.defaults.adapter, (...args: never[]) => unknown>;

/**
 * Our own requests in place of the package's HTTP client. They resolve whatever the status is, so that the package tries
 * none again by itself: a CA may ask it to wait for hours.
 */
function adapterOf(requests: CaRequests): Adapter {
  return async (config) => {
    const { method = "get", url = "", data } = config;
    const fields: Record<string, string> = {};
    for (const [name, value] of Object.entries(config.headers.toJSON())) fields[name] = String(value);
    const body = typeof data === "string" ? data : null;
    const answer = await requests.send({ method: method.toUpperCase(), url, fields, body });
    return { data: answer.text, status: answer.status, statusText: "", headers: answer.fields, config };
  };
}

async function openChallenge(
  client: Acme.Client,
  { identifier, challenges }: Acme.Authorization,
  type: ChallengeType,
): Promise<OpenChallenge> {
  const host = identifier.value;
  const challenge = challenges.find((item) => item.type === type);
  if (challenge === undefined) {
    const offered = challenges.map((item) => item.type).join(", ");
    throw new AcmeError(`The CA offers no ${type} for ${host}, but ${printable(offered)}`);
  }
  const text = await client.getChallengeKeyAuthorization(challenge);
  return { challenge, proof: { host, token: challenge.token, text } };
}

/** Resolves once the CA has seen the proof. @throws {AcmeError} with its words */
async function proved(client: Acme.Client, { challenge, proof }: OpenChallenge, type: ChallengeType): Promise<void> {
  try {
    await client.completeChallenge(challenge);
    await client.waitForValidStatus(challenge);
  } catch (error) {
    throw new AcmeError(`The CA refuses ${type} for ${proof.host}: ${wordsOf(error)}`, error);
  }
}

/** @param fault what it means where the CA refuses */
async function asking<T>(fault: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw new AcmeError(`${fault}: ${wordsOf(error)}`, error);
  }
}

function wordsOf(error: unknown): string {
  return printable(messageOf(error).slice(0, MAX_WORDS)).replace(/\.$/, "");
}
