<?php
// A private service for `php -S`, which reads a request's body before it calls this.
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
while (ob_get_level() > 0) ob_end_flush();
if (str_starts_with($path, '/events/')) {
    header('Content-Type: text/event-stream');
    foreach ([1, 2, 3] as $event) {
        $release = getenv('RELEASES') . '/' . basename($path) . "-$event";
        while (!file_exists($release)) {
            usleep(5_000);
            clearstatcache();
        }
        echo "data: $event\n\n";
        flush();
    }
    return true;
}
header('Content-Type: text/plain');
if ($path === '/refuse') {
    http_response_code(413);
    echo "too large\n";
} elseif ($path === '/echo') {
    $body = file_get_contents('php://input');
    echo strlen($body) . ' ' . hash('sha256', $body) . "\n";
} else {
    $text = "hello\n";
    header('Content-Length: ' . strlen($text));
    echo $text;
}
return true;
