"""Prints each piece of an answer in gzip, as JSON, as soon as it is decoded.

Usage: gunzip_events.py PORT HOST PATH
"""

import http.client
import json
import sys
import zlib

port, host, path = sys.argv[1:]
connection = http.client.HTTPConnection("127.0.0.1", int(port))
connection.request("GET", path, headers={"Host": host, "Accept-Encoding": "gzip"})
answer = connection.getresponse()


def say(value):
    print(json.dumps(value), flush=True)


say({"coding": answer.getheader("Content-Encoding")})
decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
while piece := answer.read1(65536):
    text = decoder.decompress(piece).decode()
    if text:
        say({"text": text})
say({"isWhole": decoder.eof})
