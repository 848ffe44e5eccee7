// Command client puts load on a server and prints what it got as one line of JSON.
//
// It exists because a client in Node is the limit of what it measures: this one takes a small part of a core. It sends
// requests that it encodes by hand and takes answers as bytes. It verifies nothing: what verification costs is measured
// on its own.
//
//	client -address 127.0.0.1:7117 -mode get -in-flight 16 -seconds 3 -keys 1000000 -root HEX
//
// Modes: echo (method /bench.Echo/Echo of bench/figures/echo-server.ts, -bytes bytes each way), get (StateService.Get at
// a root), set (StateService.Apply of one key).
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

// rawCodec passes messages as the bytes that they are.
type rawCodec struct{}

func (rawCodec) Marshal(message any) ([]byte, error) {
	return *message.(*[]byte), nil
}

func (rawCodec) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append([]byte(nil), data...)
	return nil
}

// Name is what the content type says: the messages are protobuf.
func (rawCodec) Name() string { return "proto" }

type options struct {
	address  string
	mode     string
	inFlight int
	seconds  float64
	warmUp   float64
	keys     int
	size     int
	head     string
	root     string
}

// call makes one request and returns the size of the answer.
type call func(ctx context.Context, random *rand.Rand) (int, error)

// result is what is printed.
type result struct {
	PerSecond   float64 `json:"perSecond"`
	MedianUs    float64 `json:"medianUs"`
	P99Us       float64 `json:"p99Us"`
	Calls       int     `json:"calls"`
	AnswerBytes float64 `json:"answerBytes"`
}

func main() {
	var o options
	flag.StringVar(&o.address, "address", "", "host:port of the server")
	flag.StringVar(&o.mode, "mode", "echo", "echo, get or set")
	flag.IntVar(&o.inFlight, "in-flight", 1, "calls at once")
	flag.Float64Var(&o.seconds, "seconds", 3, "how long to measure")
	flag.Float64Var(&o.warmUp, "warm-up", 0.5, "seconds before that")
	flag.IntVar(&o.keys, "keys", 0, "keys in the database: numbers below this, of 13 digits behind user/")
	flag.IntVar(&o.size, "bytes", 100, "bytes of an echo or a value")
	flag.StringVar(&o.head, "head", "main", "head to write to")
	flag.StringVar(&o.root, "root", "", "map root to read at, hex")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	connection, err := grpc.NewClient(o.address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
	if err != nil {
		return err
	}
	defer connection.Close()
	action, err := actionOf(o, connection)
	if err != nil {
		return err
	}
	if _, err := measure(o, action, o.warmUp); err != nil {
		return err
	}
	measured, err := measure(o, action, o.seconds)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(measured)
}

func actionOf(o options, connection *grpc.ClientConn) (call, error) {
	invoke := func(ctx context.Context, method string, request []byte) (int, error) {
		var answer []byte
		if err := connection.Invoke(ctx, method, &request, &answer); err != nil {
			return 0, fmt.Errorf("%s: %w", method, err)
		}
		return len(answer), nil
	}
	switch o.mode {
	case "echo":
		request := make([]byte, o.size)
		return func(ctx context.Context, _ *rand.Rand) (int, error) {
			return invoke(ctx, "/bench.Echo/Echo", request)
		}, nil
	case "get":
		root, err := hex.DecodeString(o.root)
		if err != nil || len(root) != 32 || o.keys < 1 {
			return nil, errors.New("get takes -root, 64 hex digits, and -keys")
		}
		return func(ctx context.Context, random *rand.Rand) (int, error) {
			return invoke(ctx, "/neleus.v1.StateService/Get", getRequest(root, key(random.IntN(o.keys))))
		}, nil
	case "set":
		if o.keys < 1 {
			return nil, errors.New("set takes -keys")
		}
		return func(ctx context.Context, random *rand.Rand) (int, error) {
			value := make([]byte, o.size)
			for index := range value {
				value[index] = byte(random.Uint32())
			}
			return invoke(ctx, "/neleus.v1.StateService/Apply", putRequest(o.head, key(random.IntN(o.keys)), value))
		}, nil
	}
	return nil, fmt.Errorf("unknown mode %q", o.mode)
}

func key(number int) []byte { return fmt.Appendf(nil, "user/%013d", number) }

// getRequest is a StateServiceGetRequest: at (2) with root (4), key (3).
func getRequest(root, key []byte) []byte {
	at := appendBytes(nil, 4, root)
	return appendBytes(appendBytes(nil, 2, at), 3, key)
}

// putRequest is a StateServiceApplyRequest: head (2), operations (3) of key (1) and value (2).
func putRequest(head string, key, value []byte) []byte {
	operation := appendBytes(appendBytes(nil, 1, key), 2, value)
	return appendBytes(appendBytes(nil, 2, []byte(head)), 3, operation)
}

func appendBytes(message []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(message, field, protowire.BytesType), value)
}

// measure calls from as many goroutines as there shall be calls in flight, until the time is up.
func measure(o options, action call, seconds float64) (result, error) {
	var group sync.WaitGroup
	times := make([][]time.Duration, o.inFlight)
	sizes := make([]int, o.inFlight)
	failures := make([]error, o.inFlight)
	started := time.Now()
	end := started.Add(time.Duration(seconds * float64(time.Second)))
	for worker := range o.inFlight {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), uint64(started.UnixNano())))
			for now := time.Now(); now.Before(end); {
				size, err := action(context.Background(), random)
				if err != nil {
					failures[worker] = err
					return
				}
				after := time.Now()
				times[worker] = append(times[worker], after.Sub(now))
				sizes[worker] += size
				now = after
			}
		})
	}
	group.Wait()
	took := time.Since(started).Seconds()
	if err := errors.Join(failures...); err != nil {
		return result{}, err
	}
	return summary(times, sizes, took), nil
}

func summary(times [][]time.Duration, sizes []int, took float64) result {
	var all []time.Duration
	bytes := 0
	for worker := range times {
		all = append(all, times[worker]...)
		bytes += sizes[worker]
	}
	sort.Slice(all, func(a, b int) bool { return all[a] < all[b] })
	calls := max(len(all), 1)
	at := func(share float64) float64 {
		if len(all) == 0 {
			return 0
		}
		return float64(all[int(share*float64(len(all)-1))].Nanoseconds()) / 1e3
	}
	return result{
		PerSecond:   float64(len(all)) / took,
		MedianUs:    at(0.5),
		P99Us:       at(0.99),
		Calls:       len(all),
		AnswerBytes: float64(bytes) / float64(calls),
	}
}
