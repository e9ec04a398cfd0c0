"""Times llama.cpp and ciuic on the same weights, in turns.

    pip install gguf; pip install --no-binary llama-cpp-python llama-cpp-python     # builds llama.cpp on this machine
    gcc -O2 -I. -o build/time_ciuic reports/peers/time_ciuic.c build/libciuic.a -fopenmp -lcjson -lopenblas -lmd -lm
    build/ciuic synth --like datasets/shapes/r1-distill-qwen-1.5b.json -o build/models/r1-distill-qwen-1.5b
    python3 reports/peers/time_llama_cpp.py build/models/r1-distill-qwen-1.5b [--threads 2] [--rounds 7]

Writes the checkpoint (qwen2 only) as GGUF in BF16, Q8_0 and Q4_0, every matrix quantised, beside it. Each pair of programs is
loaded once; then every round asks each for a prefill of 512 tokens and a decode of 64 tokens after 64, the order changing.
Prints tokens/s, medians (lowest to highest), and the median of the ratios within a round.
"""
import argparse, json, mmap, os, pathlib, statistics, struct, subprocess, sys, time

import numpy as np

PREFILL, DECODE, DEPTH = 512, 64, 64


def safetensors(folder):
    """name -> (dtype, shape, bytes) of every tensor."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with open(path, "rb") as f:
            data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        size = struct.unpack("<Q", data[:8])[0]
        for name, t in json.loads(data[8:8 + size]).items():
            if name != "__metadata__":
                first, end = t["data_offsets"]
                found[name] = (t["dtype"], t["shape"], np.frombuffer(data, np.uint8, end - first, 8 + size + first))
    return found


def write_gguf(folder, path):
    import gguf
    config = json.loads((folder / "config.json").read_text())
    if config["model_type"] != "qwen2":
        sys.exit(f"{folder}: model_type {config['model_type']}; only qwen2 is written as GGUF")
    w = gguf.GGUFWriter(path, "qwen2")
    w.add_block_count(config["num_hidden_layers"])
    w.add_context_length(4096)
    w.add_embedding_length(config["hidden_size"])
    w.add_feed_forward_length(config["intermediate_size"])
    w.add_head_count(config["num_attention_heads"])
    w.add_head_count_kv(config["num_key_value_heads"])
    w.add_layer_norm_rms_eps(config["rms_norm_eps"])
    w.add_rope_freq_base(config.get("rope_theta", 10000.0))
    w.add_vocab_size(config["vocab_size"])
    w.add_tokenizer_model("no_vocab")
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    parts = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
             "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    for name, (dtype, shape, data) in safetensors(folder).items():
        stem, kind = name.rsplit(".", 1)
        if stem.startswith("model.layers."):
            _, _, layer, part = stem.split(".", 3)
            stem = f"blk.{layer}.{parts[part]}"
        else:
            stem = names[stem]
        assert dtype == "BF16", f"{name} is {dtype}"
        if len(shape) == 1:
            values = (data.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
            w.add_tensor(f"{stem}.{kind}", values)
        else:
            w.add_tensor(f"{stem}.{kind}", data.reshape(shape[0], 2 * shape[1]), raw_dtype=gguf.GGMLQuantizationType.BF16)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def quantize(source, target, name):
    import llama_cpp
    p = llama_cpp.llama_model_quantize_default_params()
    p.ftype = {"Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, "Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0}[name]
    p.pure, p.nthread = True, 2
    import ctypes
    if llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(p)) != 0:
        sys.exit(f"{target}: llama.cpp could not quantise {source}")


def serve_llama(path, threads):
    """What time_ciuic.c does, by llama.cpp."""
    import ctypes
    import llama_cpp as l
    l.llama_backend_init()
    model = l.llama_model_load_from_file(path.encode(), l.llama_model_default_params())
    p = l.llama_context_default_params()
    p.n_ctx, p.n_batch, p.n_ubatch, p.n_threads, p.n_threads_batch = 2048, 2048, 512, threads, threads
    ctx = l.llama_init_from_model(model, p)
    vocabulary = l.llama_vocab_n_tokens(l.llama_model_get_vocab(model))
    ids = (l.llama_token * 2048)(*[i * 7919 % vocabulary for i in range(2048)])

    def decode(first, n):
        at = ctypes.cast(ctypes.byref(ids, first * ctypes.sizeof(l.llama_token)), ctypes.POINTER(l.llama_token))
        if l.llama_decode(ctx, l.llama_batch_get_one(at, n)) != 0:
            sys.exit("llama_decode failed")
        l.llama_get_logits(ctx)

    print(flush=True)
    for line in sys.stdin:
        words = line.split()
        n, depth = int(words[1]), int(words[2]) if len(words) > 2 else 0
        l.llama_memory_clear(l.llama_get_memory(ctx), True)
        if depth:
            decode(0, depth)
        start = time.perf_counter()
        if words[0] == "prefill":
            decode(0, n)
        else:
            for i in range(n):
                decode(depth + i, 1)
        print(f"{time.perf_counter() - start:.9f}", flush=True)


class Program:
    def __init__(self, command):
        environment = dict(os.environ, OMP_PROC_BIND="true", OMP_PLACES="cores")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
                                        stderr=subprocess.DEVNULL)
        if self.process.stdout.readline() == "":
            sys.exit(f"{' '.join(command)}: did not start")

    def ask(self, question, tokens):
        time.sleep(0.2)  # the other program's threads have gone to sleep by then
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return tokens / float(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--serve":
        return serve_llama(sys.argv[2], int(sys.argv[3]))
    if len(sys.argv) == 5 and sys.argv[1] == "--quantize":
        return quantize(*sys.argv[2:])
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("checkpoint", type=pathlib.Path)
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--rounds", type=int, default=7)
    a.add_argument("--isa", default="best")
    a.add_argument("--weights", default="BF16,Q8_0,Q4_0", help="which of them")
    a = a.parse_args()
    bf16 = pathlib.Path(f"{a.checkpoint}-BF16.gguf")
    if not bf16.exists():
        write_gguf(a.checkpoint, f"{bf16}.part")
        os.replace(f"{bf16}.part", bf16)
    for ours, theirs in (("none", "BF16"), ("int8", "Q8_0"), ("int4", "Q4_0")):
        if theirs not in a.weights.split(","):
            continue
        gguf = pathlib.Path(f"{a.checkpoint}-{theirs}.gguf")
        if not gguf.exists():
            made = subprocess.run([sys.executable, __file__, "--quantize", bf16, f"{gguf}.part", theirs], capture_output=True, text=True)
            if made.returncode != 0:
                sys.exit(made.stderr[-1000:])
            os.replace(f"{gguf}.part", gguf)
        programs = [Program(["build/time_ciuic", str(a.checkpoint), ours, str(a.threads), a.isa]),
                    Program([sys.executable, __file__, "--serve", str(gguf), str(a.threads)])]
        for question, tokens in ((f"prefill {PREFILL}", PREFILL), (f"decode {DECODE} {DEPTH}", DECODE)):
            speed = [[], []]
            for p in programs:
                p.ask(question, tokens)  # warm
            for r in range(a.rounds):
                for i in ((0, 1), (1, 0))[r % 2]:
                    speed[i].append(programs[i].ask(question, tokens))
            ratios = sorted(x / y for x, y in zip(*speed))
            shown = [f"{statistics.median(s):7.1f} ({min(s):.1f} to {max(s):.1f})" for s in speed]
            print(f"{theirs:5} {question.split()[0]:8} ciuic {ours:5} {shown[0]:28} llama.cpp {shown[1]:28} "
                  f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)
        for p in programs:
            p.end()


if __name__ == "__main__":
    main()
