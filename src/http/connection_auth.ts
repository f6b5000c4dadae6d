/**
 * Authentication that belongs to a connection, and not to a request: whoever has proved who he is on a connection is
 * served as that user for as long as it lasts. So it is with NTLM, and with Negotiate (RFC 4559 §6), whose other names
 * are Nego2 and Kerberos. Some servers write `Negotiate:Kerberos`.
 */

const credentials = /(?:^|,\s*)(?:ntlm|negotiate|nego2|kerberos)(?![\w!#$%&'*+.^`|~-])/i;
const challenge = /(?:^|[\s,])(?:ntlm|negotiate|nego2|kerberos)(?![\w!#$%&'*+.^`|~-])/i;

/**
 * True where the value of Authorization or Proxy-Authorization authenticates the connection that carries it. A repeated
 * field may have been joined, so the scheme may stand behind a comma.
 */
export function isConnectionCredentials(value: string): boolean {
  return credentials.test(value);
}

/**
 * True where one of the challenges in a value of WWW-Authenticate or Proxy-Authenticate is for the connection. A quoted
 * realm may look like one, too: that costs a connection, and harms nobody.
 */
export function isConnectionChallenge(value: string): boolean {
  return challenge.test(value);
}
